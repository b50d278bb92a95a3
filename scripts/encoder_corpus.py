"""Open plain text for the small encoder: which sources may be used, and how lines become spans.

The folder read is laid out ``<language>/train.parquet`` with the columns ``text`` and ``source``.
Only sources that are openly licensed (public domain, MIT, Apache, CC BY, CC BY-SA) pass; what is
non-commercial, or of unclear terms, is left out by name rather than by guess.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

# Part of the source's name -> (licence, languages it is open for; None means all of them).
# Treebanks of XTREME's udpos come under one source name, so their languages are listed: the
# Arabic, Bulgarian, Basque, Hebrew, Ukrainian and Urdu ones are non-commercial.
OPEN_SOURCES: dict[str, tuple[str, frozenset[str] | None]] = {
    "panx train text": ("CC BY-SA (Wikipedia text, by way of WikiAnn)", None),
    "panx test-th": ("CC BY-SA (Wikipedia text, by way of WikiAnn)", None),
    "wisesight-sentiment": ("CC0 1.0", None),
    "squad/en/train": ("CC BY-SA 4.0", None),
    "tydiqa/": ("Apache-2.0 (Wikipedia text CC BY-SA)", None),
    "FarsTail": ("Apache-2.0", None),
    "indonli": ("CC BY-SA 4.0", None),
    "JGLUE": ("CC BY-SA 4.0", None),
    "masakhane-pos": ("MIT (repository)", None),
    "XTREME udpos train": (
        "CC BY-SA 3.0 and 4.0",
        frozenset({"fa", "fi", "id", "ja", "lt", "nl", "zh"}),
    ),
    "UD_Afrikaans-AfriBooms": ("CC BY-SA 4.0", None),
    "UD_Chinese-GSDSimp": ("CC BY-SA 4.0", None),
    "UD_Dutch-Alpino": ("CC BY-SA 4.0", None),
    "UD_English-EWT": ("CC BY-SA 4.0", None),
    "UD_Finnish-TDT": ("CC BY-SA 4.0", None),
    "UD_French-GSD": ("CC BY-SA 4.0", None),
    "UD_German-GSD": ("CC BY-SA 4.0", None),
    "UD_Indonesian-GSD": ("CC BY-SA 4.0", None),
    "UD_Japanese-GSD": ("CC BY-SA 4.0", None),
    "UD_Korean-GSD": ("CC BY-SA 4.0", None),
    "UD_Lithuanian-ALKSNIS": ("CC BY-SA 4.0", None),
    "UD_Marathi-UFAL": ("CC BY-SA 4.0", None),
    "UD_Persian-Seraji": ("CC BY-SA 4.0", None),
    "UD_Portuguese-GSD": ("CC BY-SA 4.0", None),
    "UD_Romanian-RRT": ("CC BY-SA 4.0", None),
    "UD_Russian-GSD": ("CC BY-SA 4.0", None),
    "UD_Spanish-GSD": ("CC BY-SA 4.0", None),
    "UD_Telugu-MTG": ("CC BY-SA 4.0", None),
    "UD_Vietnamese-VTB": ("CC BY-SA 4.0", None),
    "UD_Wolof-WTB": ("CC BY-SA 4.0", None),
}

_REDIRECT = re.compile(r"(R ?E ?D ?I ?R ?E ?C ?T|تحويل|เปลี่ยนทาง|WEITERLEITUNG)\s*#?\s*")
_MARKUP = re.compile(r"''+|``|' ''|'' '|^[*#:;=\s]+|[*#=]+$")
_WORD = re.compile(r"[^\W\d_]+")
_SPACES = re.compile(r"\s+")
# A clause ends after punctuation followed by a space, or directly after the full-width marks.
_CLAUSE = re.compile(r"(?<=[.!?;:,،؛؟।])\s+|(?<=[。！？；，、])|\s+(?=[-–—(])")


@dataclass(frozen=True)
class Span:
    """A short stretch of one line of text, and the language of the line."""

    text: str
    language: str


def open_licence(source: str, language: str) -> str | None:
    """The licence under which a source's text in a language is open, or None if it is not."""
    for part, (licence, languages) in OPEN_SOURCES.items():
        if part in source and (languages is None or language in languages):
            return licence
    return None


def read_open_lines(mono: Path) -> tuple[dict[str, list[str]], Counter[str]]:
    """The usable lines by language, cleaned, and how many each source gave."""
    lines: dict[str, list[str]] = {}
    used: Counter[str] = Counter()
    for path in sorted(mono.glob("*/train.parquet")):
        language = path.parent.name
        table = pq.read_table(path, columns=["text", "source"])
        for text, source in zip(
            table["text"].to_pylist(), table["source"].to_pylist(), strict=True
        ):
            if open_licence(source, language) is None:
                continue
            cleaned = clean(text)
            if len(cleaned) > 2:
                lines.setdefault(language, []).append(cleaned)
                used[source] += 1
    return lines, used


def clean(text: str) -> str:
    """A line without wiki markup, redirect marks and doubled blanks."""
    text = _MARKUP.sub(" ", _REDIRECT.sub("", text))
    return _SPACES.sub(" ", text).strip()


def width(text: str) -> int:
    """A rough length in which one sub-word of any script counts about four."""
    return sum(
        3 if unicodedata.east_asian_width(c) in "WF" else (2 if ord(c) > 0x0900 else 1)
        for c in text
    )


def spans_of(line: str, limit: int) -> Iterator[str]:
    """Cut a line at clause ends into spans no wider than ``limit`` where the clauses allow it."""
    current = ""
    for clause in _CLAUSE.split(line):
        if not clause:
            continue
        joined = clause if not current else f"{current} {clause}"
        if current and width(joined) > limit:
            yield current
            current = clause
        else:
            current = joined
    if current:
        yield current


def sample_spans(
    lines: dict[str, list[str]], budgets: dict[str, int], limit: int, seed: int
) -> list[Span]:
    """Distinct spans in random order, up to a total width for each language.

    Two thirds of a language's budget go to clauses, one third to windows of a few words cut
    anywhere: cheap to pass through the teacher, and a language with little text gives many.

    Args:
        lines: usable lines by language.
        budgets: total width wanted for each language; the key ``*`` is for all others.
        limit: width of one clause span.
        seed: of the order in which lines and windows are drawn.
    """
    rng = random.Random(seed)
    chosen: list[Span] = []
    for language in sorted(lines):
        budget = budgets.get(language, budgets["*"])
        clauses = {span for line in lines[language] for span in spans_of(line, limit)}
        taken = _take(sorted(clauses), budget * 2 // 3, limit * 3, rng)
        budget -= sum(width(text) for text in taken)
        windows = {_window(line, rng) for line in lines[language] for _ in range(8)}
        taken |= _take(sorted(windows - taken), budget, limit, rng)
        chosen += [Span(text, language) for text in sorted(taken)]
    rng.shuffle(chosen)
    return chosen


def frequent_words(
    lines: dict[str, list[str]], languages: Collection[str], most: int
) -> list[Span]:
    """The most used lower-case words of each language, each as a span of its own."""
    found = []
    for language in languages:
        counts = Counter(
            word
            for line in lines.get(language, [])
            for word in _WORD.findall(line)
            if word == word.lower()
        )
        found += [Span(word, language) for word, _ in counts.most_common(most)]
    return found


def with_words(
    spans: Sequence[Span], words: Sequence[Span], pieces: Sequence[str], seed: int
) -> list[Span]:
    """Spans, single words and the words that are one piece, each text once, in random order.

    A word by itself is the cheapest way to learn what the teacher takes it to mean.
    """
    seen = {span.text for span in spans}
    single = {word.text: word.language for word in words}
    for piece in pieces:
        if piece.startswith("▁") and len(piece) > 2:
            single.setdefault(piece[1:], "piece")
    mixed = [
        *spans,
        *(Span(text, name) for text, name in sorted(single.items()) if text not in seen),
    ]
    random.Random(seed).shuffle(mixed)
    return mixed


def _take(pool: list[str], budget: int, widest: int, rng: random.Random) -> set[str]:
    """A random part of the pool with about this total width."""
    rng.shuffle(pool)
    taken = set()
    for text in pool:
        if budget <= 0:
            break
        if 6 <= width(text) <= widest:
            taken.add(text)
            budget -= width(text)
    return taken


def _window(line: str, rng: random.Random) -> str:
    """A few neighbouring words of a line, or characters where blanks do not part words."""
    words = line.split(" ")
    if width(line) > 30 * len(words):
        size = rng.randint(4, 12)
        start = rng.randrange(max(1, len(line) - size))
        return line[start : start + size].strip()
    size = rng.randint(2, 7)
    start = rng.randrange(max(1, len(words) - size))
    return " ".join(words[start : start + size])
