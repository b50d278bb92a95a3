"""cldr_months, cldr_seasons, cldr_date_match: which part of the year a date is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from raystilts.errors import UserError
from raystilts.tasks.cldr.draws import Draws, Split, check_split, split_of
from raystilts.tasks.cldr.moments import DAYS, FIRST_DAY, has_form, of_day, plain, write_date

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

#: Of the northern half of the world, by whole months: December is winter.
SEASONS: Final = ("winter", "spring", "summer", "autumn")
ROWS: Final = {"train": 1200, "validation": 240, "test": 240}
MATCHED: Final = 150

#: Forms of dates that write the month in words, in most languages.
FORMS: Final = ("full", "long", "yMMMEd", "yMMMM", "MMMd", "MMMEd")


def month_of(day: datetime) -> str:
    """The month, one of `MONTHS`."""
    return MONTHS[day.month - 1]


def season_of(day: datetime) -> str:
    """The season, one of `SEASONS`."""
    return SEASONS[day.month % 12 // 3]


def for_months(day: datetime) -> bool:
    """Whether a day of training belongs to cldr_months; the other half belongs to cldr_seasons."""
    return split_of("month or season", day.strftime("%Y-%m-%d")) == "train"


def _draw_day(draws: Draws, split: Split, may: Callable[[datetime], bool]) -> datetime:
    while True:
        day = FIRST_DAY + timedelta(days=draws.below(DAYS))
        if may(day) and of_day(day) == split:
            return day


def _rows(
    name: str, labels: Sequence[str], label_of: Callable[[datetime], str], *, months: bool, language: str, split: str
) -> pa.Table:
    part = check_split(language, split)
    draws = Draws(name, language, part)
    forms = [form for form in FORMS if has_form(language, form)]
    found: dict[str, str] = {}
    while len(found) < ROWS[part]:
        label = labels[len(found) % len(labels)]
        day = _draw_day(draws, part, lambda day, label=label: label_of(day) == label)  # type: ignore[misc]
        if part != "train" or for_months(day) == months:
            found.setdefault(plain(write_date(language, day, draws.pick(forms))), label)
    items = draws.sample(list(found.items()), len(found))
    return pa.table({"text": [text for text, _ in items], "label": [label for _, label in items]})


def months(language: str, split: str) -> pa.Table:
    """Columns `text` (a date) and `label` (one of `MONTHS`), balanced."""
    return _rows("months", MONTHS, month_of, months=True, language=language, split=split)


def seasons(language: str, split: str) -> pa.Table:
    """Columns `text` (a date) and `label` (one of `SEASONS`), balanced; its days of training are no other task's."""
    return _rows("seasons", SEASONS, season_of, months=False, language=language, split=split)


def date_match(language: str, split: str) -> pa.Table:
    """Columns `source_sentence` (weekday, day and month in the language) and `target_sentence` (the same in English).

    There is nothing to train on, and English has no rows. Both sides are distinct.

    Raises:
        UserError: For English or the split "train".
    """
    part = check_split(language, split)
    if language == "en" or part == "train":
        raise UserError(
            f"cldr_date_match has no rows for {language!r} {part!r}: it matches other languages' dates with English "
            "ones; use a language other than 'en' and the split validation or test"
        )
    draws = Draws("date match", language, part)
    found: dict[str, str] = {}
    while len(found) < MATCHED:
        day = _draw_day(draws, part, lambda _: True)
        english, own = (plain(write_date(code, day, "MMMEd")) for code in ("en", language))
        if own not in found.values():
            found.setdefault(english, own)
    return pa.table({"source_sentence": list(found.values()), "target_sentence": list(found)})
