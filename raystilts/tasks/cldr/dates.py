"""cldr_dates: tag the parts of dates and times in running text."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, Split, check_split, names_in
from raystilts.tasks.cldr.phrases import (
    DATE_FORMS,
    PARTIAL_FORMS,
    Piece,
    draw_moment,
    draw_quantity,
    has_form,
    write_date,
    write_datetime,
    write_time,
)

FIELDS: Final = ("weekday", "day", "month", "year", "time")
LABELS: Final = ("O", *(f"{place}-{field}" for field in FIELDS for place in "BI"))
ROWS: Final = {"train": 1500, "validation": 240, "test": 200}

_SEPARATORS: Final = (", ", " – ", " ", "; ", ": ", " (")
_INVISIBLE: Final = ("Cf", "Cc")


def _class_of(character: str) -> str:
    """Letters (with their marks), digits, or the character itself: what a token is made of."""
    category = unicodedata.category(character)
    if category[0] in "LM":
        return "letter"
    if category[0] == "N":
        return "digit"
    return "space" if character.isspace() else character


def tokens_of(text: str) -> list[str]:
    """Runs of letters, runs of digits, and single signs; spaces and invisible marks vanish.

    >>> tokens_of("2021年3月14日, 15:05")
    ['2021', '年', '3', '月', '14', '日', ',', '15', ':', '05']
    """
    seen = "".join(
        c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) not in _INVISIBLE
    )
    runs = ((kind, "".join(run)) for kind, run in groupby(seen, _class_of))
    parts = (run if kind in ("letter", "digit") else list(run) for kind, run in runs)
    flat = [part for p in parts for part in ([p] if isinstance(p, str) else p)]
    return [token for token in flat if not token.isspace()]


def _tagged(pieces: list[Piece]) -> tuple[list[str], list[str]]:
    """Tokens and BIO tags; neighbouring pieces of one field are one entity."""
    tokens: list[str] = []
    tags: list[str] = []
    for field, group in groupby(pieces, lambda piece: piece.field):
        mine = tokens_of("".join(piece.text for piece in group))
        tokens += mine
        if field == "other":
            tags += ["O"] * len(mine)
        else:
            tags += [f"{'I' if i else 'B'}-{field}" for i in range(len(mine))]
    return tokens, tags


def _dated(draws: Draws, language: str, split: Split) -> list[Piece]:
    """A date, a part of one, a date with its time, or a time."""
    moment = draw_moment(draws, split)
    place = draws.below(10)
    if place < 3:
        return write_datetime(language, moment, draws.pick(DATE_FORMS[:4]))
    if place < 4:
        return write_time(language, moment)
    forms = DATE_FORMS if place < 8 else PARTIAL_FORMS
    form = draws.pick([form for form in forms if has_form(language, form)])
    return write_date(language, moment, form)


def _distractor(draws: Draws, language: str, split: Split) -> list[Piece]:
    """Names and quantities: digits and words that are no date."""
    if draws.chance(0.55):
        return [Piece(draw_quantity(draws, language, split).text(language), "other")]
    kind = draws.pick(("territory", "language", "city", "currency"))
    pool = list(names_in(language, kind, split).values()) or ["–"]
    return [Piece(draws.pick(pool), "other")]


def _sentence(draws: Draws, language: str, split: Split) -> list[Piece]:
    """Two to four chunks in a row, of which at least one is a date."""
    count = 2 + draws.below(3)
    dated = draws.below(count)
    pieces: list[Piece] = []
    for at in range(count):
        if at:
            pieces.append(Piece(draws.pick(_SEPARATORS), "other"))
        chance = draws.chance(0.35)
        pieces += (_dated if at == dated or chance else _distractor)(draws, language, split)
    return pieces


def rows(language: str, split: str) -> pa.Table:
    """Columns `tokens` and `tags` (BIO, one of `LABELS` each).

    Text that a pattern holds around a field ("de", "年") is outside of it. Dates are Gregorian and
    written with Western digits, as `babel` does.
    """
    part = check_split(language, split)
    draws = Draws("dates", language, part)
    found: dict[tuple[str, ...], list[str]] = {}
    while len(found) < ROWS[part]:
        tokens, tags = _tagged(_sentence(draws, language, part))
        if len(tokens) > 2 and tags.count("O") < len(tags):
            found.setdefault(tuple(tokens), tags)
    return pa.table({"tokens": [list(t) for t in found], "tags": list(found.values())})
