"""Text tables: which separator, which encoding, which lines are a title and which are the header."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from raystilts.errors import cut
from raystilts.importing.columns import NAMES
from raystilts.importing.numbers import to_numbers

_SEPARATORS = (",", ";", "\t", "|")
_HEAD = 50
#: Lines of header at most; likewise lines of a title above it.
_HEADS, _TITLES = 4, 3


def read_delimited(path: Path, said: list[str]) -> pd.DataFrame:
    """A CSV or TSV file; see `read_text`.

    Raises:
        ValueError: It is no such table.
    """
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        data = gzip.decompress(data)
    text = _decode(data)
    if "\x00" in text[:10_000]:
        raise ValueError("it holds binary data")
    return read_text(_of_markdown(text, said), said)


def read_text(text: str, said: list[str], separators: Sequence[str] = _SEPARATORS) -> pd.DataFrame:
    """The table in a text; every cell a text, only empty ones missing ("none" and "NA" may be names of tasks).

    Args:
        said: What was concluded is added.
        separators: What may stand between cells.

    Raises:
        ValueError: It is no such table.
    """
    skip = _preamble(text)
    titles, above = _title(text, skip, separators)
    if titles:
        said.append(f"above the header and left out: {'; '.join(cut(one) for one in titles)}")
    skip += above
    separator = _separator(text, skip, separators)
    text = _with_index_names(text, skip, separator)
    levels = _header_lines(text, skip, separator)
    frame = pd.read_csv(
        io.BytesIO(text.encode()),  # a StringIO would hold four bytes a character
        sep=separator,
        header=list(range(levels)) if levels > 1 else 0,
        skiprows=skip,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=True,
        skip_blank_lines=True,
    )
    if separator == "|":
        frame = frame.rename(columns=lambda name: str(name).strip()).apply(lambda column: column.str.strip())
    frame = frame.dropna(how="all")
    return frame.loc[:, [not _empty_column(frame, i) for i in range(frame.shape[1])]]


def _empty_column(frame: pd.DataFrame, place: int) -> bool:
    """A column that only a separator at the end of each line makes."""
    return "Unnamed" in str(frame.columns[place]) and bool(frame.iloc[:, place].isna().all())


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _of_markdown(text: str, said: list[str]) -> str:
    """A table of Markdown as one with bars between its columns; other texts as they are.

    Raises:
        ValueError: It holds several.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    rules = [i for i, line in enumerate(lines) if line.startswith("|") and re.fullmatch(r"[|:\s-]*-[|:\s-]*", line)]
    rules = [i for i in rules if i and lines[i - 1].startswith("|") and i - 1 not in rules]
    if not rules:
        return text
    if len(rules) > 1:
        raise ValueError(f"it holds {len(rules)} tables of Markdown; put each into a file of its own")
    start = rules[0] - 1
    rows = [*itertools.takewhile(lambda line: line.startswith("|"), lines[start:])]
    if len(rows) < len(lines):
        said.append(f"{len(lines) - len(rows)} line(s) of text around the table left out")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (rows[0], *rows[2:])]
    if cells[0][0].lower() in ("task", "tasks"):  # so lm-eval prints: a task once, then a line for each of its metrics
        for above, row in itertools.pairwise(cells):
            row[0] = row[0] or above[0]
    return "\n".join("|".join(row) for row in cells) + "\n"


def _preamble(text: str) -> int:
    """Lines of comments before the header."""
    skip = 0
    for line in _each(text):
        if line.strip() and not line.startswith(("# ", "#!", "//")):
            return skip
        skip += 1
    return skip


def _title(text: str, skip: int, separators: Sequence[str]) -> tuple[list[str], int]:
    """A title between the comments and the header, and its lines: a text in the first cell, or over all of them.

    Where names stand below a line, and numbers below these, the line is a title also if it has fewer cells (prose has
    commas), or only says what the names are ("Target" above the names of targets).
    """
    lines = [*itertools.islice(_each(text), skip, skip + _HEAD)]
    whole = _separator(text, skip, separators)
    if whole != "," and len({len(row) for row in csv.reader(filter(str.strip, lines), delimiter=whole)}) == 1:
        separators = (whole,)  # decimal commas cut the lines below the header as evenly
    for above in range(1, min(_TITLES + 3, len(lines))):  # and blank lines
        separator = _separator(text, skip + above, separators)
        rows = list(csv.reader([line for line in lines[above:] if line.strip()], delimiter=separator))
        if not lines[above].strip() or not rows or len({cell for cell in rows[0] if cell.strip()}) < 2:
            continue
        titles = [row for row in csv.reader(lines[:above], delimiter=separator) if any(map(str.strip, row))]
        named = _is_header(rows[0], rows[1:]) and not any(_are_numbers([cell]) for cell in rows[0])
        if titles and all(_is_title(row, len(rows[0]), named) for row in titles):
            return [" ".join(dict.fromkeys(cell.strip() for cell in row if cell.strip())) for row in titles], above
    return [], 0


def _is_title(row: list[str], width: int, named: bool) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    if len(set(filled)) == 1 and row[0].strip() and len(filled) in (1, len(row)):
        return True
    kind = "_".join(filled[0].lower().split())
    said = len(set(filled)) == 1 and any(one in NAMES["target"] for one in (kind, kind.removesuffix("s")))
    return named and (len(row) < width or said)


def _each(text: str) -> Iterator[str]:
    """Line by line, without a copy of the whole."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _lines(text: str, skip: int, number: int) -> list[str]:
    return [line for line in itertools.islice(_each(text), skip, skip + number) if line.strip()]


def _separator(text: str, skip: int, separators: Sequence[str] = _SEPARATORS) -> str:
    """The one that cuts the header into most columns, if the lines below agree."""
    lines = _lines(text, skip, _HEAD)
    best, most = ",", 1
    for separator in separators:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        agreeing = sum(count == counts[0] for count in counts) / len(counts) if counts else 0.0
        if counts and counts[0] > most and agreeing > 0.8:
            best, most = separator, counts[0]
    return best


def _with_index_names(text: str, skip: int, separator: str) -> str:
    """Names of the columns of labels in the last line of header, not in a line of their own below several (pandas)."""
    lines = [*itertools.islice(_each(text), skip, skip + _HEADS + 6)]
    rows = list(csv.reader(lines, delimiter=separator))
    # No rows, a cell that goes over lines, or one line of header.
    if not rows or len(rows) != len(lines) or not _is_grouped(rows[0]):
        return text
    for place in range(2, min(len(rows), _HEADS + 1)):
        filled = [bool(cell.strip()) for cell in rows[place]]
        labels = sum(filled)
        above = rows[place - 1]
        alone = 0 < labels < len(filled) == len(above) and all(filled[:labels])
        if alone and _is_header(above[labels:], [row[labels:] for row in rows[place + 1 :]]):
            sink = io.StringIO()
            writer = csv.writer(sink, delimiter=separator, lineterminator="\n")
            writer.writerow([*rows[place][:labels], *above[labels:]])
            before = [*itertools.islice(_each(text), skip), *lines[: place - 1]]
            rest = sum(map(len, [*before, *lines[place - 1 : place + 1]]))
            return "".join([*before, sink.getvalue()]) + text[rest:]
    return text


def _header_lines(text: str, skip: int, separator: str) -> int:
    """2 to 4 where the first line names groups of columns (repeated or left empty), else 1."""
    rows = list(csv.reader(_lines(text, skip, 10), delimiter=separator))
    found = 1
    for levels in range(2, _HEADS + 1):
        if len(rows) <= levels or not _is_grouped(rows[levels - 2]):
            break
        if _is_header(rows[levels - 1], rows[levels:]):
            found = levels
        elif found > 1:
            break
    return found


def _is_header(labels: list[str], body: list[list[str]]) -> bool:
    """Whether a line holds names where the table below it holds numbers."""
    if any(len(row) != len(labels) for row in body):
        return False
    numeric = [i for i in range(len(labels)) if _are_numbers([row[i] for row in body])]
    named = [i for i in numeric if not _are_numbers([labels[i]])]
    return bool(numeric) and (len(named) == len(numeric) or _are_seeds([labels[i] for i in numeric]))


def _is_grouped(row: list[str]) -> bool:
    names = [name.strip() for name in row[1:]]
    filled = [name for name in names if name]
    return bool(filled) and (len(set(filled)) < len(filled) or len(filled) < len(names))


def _are_numbers(texts: list[str]) -> bool:
    numbers = to_numbers(pd.Series(texts, dtype="object"))
    return bool(numbers.values.notna().any()) and not numbers.wrong.any()


def _are_seeds(texts: list[str]) -> bool:
    """Whole numbers that come again in each group, or count from 0 or 1."""
    plain = [text.strip() for text in texts]
    if len(plain) < 2 or not all(text.isdecimal() for text in plain):
        return False
    counted = [int(text) for text in plain]
    often = set(Counter(plain).values())
    return (len(often) == 1 and often != {1}) or (
        counted == list(range(counted[0], counted[0] + len(plain))) and counted[0] < 2
    )
