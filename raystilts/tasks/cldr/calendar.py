"""cldr_months, cldr_weekdays, cldr_seasons, cldr_date_match: which part of the year or the week a date is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, Split, check_matched, check_split, split_of
from raystilts.tasks.cldr.phrases import DAYS, FIRST_DAY, has_form, of_day, plain, write_date

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

#: Of the northern half of the world, by whole months: December is winter.
SEASONS: Final = ("winter", "spring", "summer", "autumn")
ROWS: Final = {"train": 1200, "validation": 240, "test": 240}
MATCHED: Final = 150

#: Forms that show the whole day, with its month in words in most languages: texts are as disjoint as days.
FORMS: Final = ("full", "long", "yMMMEd")

#: Those of them that write the weekday.
WEEKDAY_FORMS: Final = ("full", "yMMMEd")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a task labels dates.

    Attributes:
        forms: The forms that show what is asked.
        seasons: Whether it trains on the days of cldr_seasons.
    """

    labels: Sequence[str]
    label_of: Callable[[datetime], str]
    forms: Sequence[str]
    seasons: bool = False


def season_of(day: datetime) -> str:
    """The season, one of `SEASONS`."""
    return SEASONS[day.month % 12 // 3]


def is_of_seasons(day: datetime) -> bool:
    """Whether a day of training belongs to cldr_seasons, which has little data; the others have all other days."""
    return split_of("season", day.strftime("%Y-%m-%d")) != "train"


def _draw_day(draws: Draws, split: Split, may: Callable[[datetime], bool]) -> datetime:
    while True:
        day = FIRST_DAY + timedelta(days=draws.below(DAYS))
        if may(day) and of_day(day) == split:
            return day


def _rows(draws: Draws, language: str, split: Split, kind: Kind) -> pa.Table:
    forms = [form for form in kind.forms if has_form(language, form)]
    found: dict[str, str] = {}
    while len(found) < ROWS[split]:
        label = kind.labels[len(found) % len(kind.labels)]

        def may(day: datetime, label: str = label) -> bool:
            return kind.label_of(day) == label and (split != "train" or is_of_seasons(day) == kind.seasons)

        text = plain(write_date(language, _draw_day(draws, split, may), draws.pick(forms)))
        found.setdefault(text, label)
    items = draws.sample(list(found.items()), len(found))
    return pa.table({"text": [text for text, _ in items], "label": [label for _, label in items]})


def months(language: str, split: str) -> pa.Table:
    """Columns `text` (a date) and `label` (one of `MONTHS`), balanced."""
    part = check_split(language, split)
    kind = Kind(MONTHS, lambda day: MONTHS[day.month - 1], FORMS)
    return _rows(Draws("months", language, part), language, part, kind)


def weekdays(language: str, split: str) -> pa.Table:
    """Columns `text` (a date with its weekday) and `label` (one of `WEEKDAYS`), balanced."""
    part = check_split(language, split)
    kind = Kind(WEEKDAYS, lambda day: WEEKDAYS[day.weekday()], WEEKDAY_FORMS)
    return _rows(Draws("weekdays", language, part), language, part, kind)


def seasons(language: str, split: str) -> pa.Table:
    """Columns `text` (a date) and `label` (one of `SEASONS`), balanced; no other task here trains on its days."""
    part = check_split(language, split)
    return _rows(Draws("seasons", language, part), language, part, Kind(SEASONS, season_of, FORMS, seasons=True))


def date_match(language: str, split: str) -> pa.Table:
    """Columns `source_sentence` (weekday, day and month in the language) and `target_sentence` (the same in English).

    There is nothing to train on, and English has no rows. Both sides are distinct.

    Raises:
        UserError: For English or the split "train".
    """
    part = check_matched("cldr_date_match", "dates", language, split)
    draws = Draws("date match", language, part)
    found: dict[str, str] = {}
    while len(found) < MATCHED:
        day = _draw_day(draws, part, lambda _: True)
        english, own = (plain(write_date(code, day, "MMMEd")) for code in ("en", language))
        if own not in found.values():
            found.setdefault(english, own)
    return pa.table({"source_sentence": list(found.values()), "target_sentence": list(found)})
