"""Dates and times as a language writes them, with what each piece of the text stands for.

Quantities: a number and what it counts, written the long or the short way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import numbers
from babel.dates import DateTimeFormat, tokenize_pattern

from raystilts.tasks.cldr.facts import (
    UNITS,
    Draws,
    Form,
    Split,
    clean,
    locale_of,
    names_in,
    split_of,
    units_in,
    write_unit,
)

FIRST_DAY: Final = datetime(1950, 1, 1)
DAYS: Final = 36_500

#: Lengths and skeletons of dates that show a day, the most explicit first.
DATE_FORMS: Final = ("full", "long", "medium", "short", "yMMMEd", "yMd")
#: Dates with a part left out.
PARTIAL_FORMS: Final = ("MMMEd", "MMMd", "yMMMM", "yMMM", "yMEd", "MEd")

_FIELDS: Final = {
    "E": "weekday",
    "c": "weekday",
    "e": "weekday",
    "d": "day",
    "M": "month",
    "L": "month",
    "y": "year",
    "u": "year",
    **dict.fromkeys("hHkKmsabB", "time"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text and the field it writes ("weekday", "day", ..., or "other")."""

    text: str
    field: str


def plain(pieces: Sequence[Piece]) -> str:
    """The pieces as one cleaned string."""
    return clean("".join(piece.text for piece in pieces))


def _render(pattern: str, moment: datetime, language: str) -> list[Piece]:
    values = DateTimeFormat(moment, locale_of(language))
    pieces: list[Piece] = []
    for _, value in tokenize_pattern(pattern):
        if isinstance(value, tuple):
            letter, count = value
            pieces.append(Piece(str(values[letter * count]), _FIELDS.get(letter, "other")))
        else:
            pieces.append(Piece(value, "other"))
    return _close_times(pieces)


def _close_times(pieces: list[Piece]) -> list[Piece]:
    """What stands between two parts of a time (":", a space) belongs to the time."""
    last = len(pieces) - 1
    return [
        Piece(piece.text, "time")
        if 0 < i < last and pieces[i - 1].field == pieces[i + 1].field == "time"
        else piece
        for i, piece in enumerate(pieces)
    ]


@lru_cache(maxsize=4096)
def _pattern(language: str, form: str) -> str | None:
    locale = locale_of(language)
    if form in DATE_FORMS[:4]:
        return str(locale.date_formats[form].pattern)
    skeleton = locale.datetime_skeletons.get(form)
    return None if skeleton is None else str(skeleton.pattern)


def has_form(language: str, form: str) -> bool:
    """Whether the language has a pattern for this length or skeleton."""
    return _pattern(language, form) is not None


def write_date(language: str, moment: datetime, form: str) -> list[Piece]:
    """A date in one of `DATE_FORMS` or `PARTIAL_FORMS`, or a time by its skeleton ("Hm", "hm")."""
    pattern = _pattern(language, form)
    assert pattern is not None, f"{language} has no date pattern {form}"
    return _render(pattern, moment, language)


def write_time(language: str, moment: datetime) -> list[Piece]:
    """The time of day in the language's short format."""
    return _render(str(locale_of(language).time_formats["short"].pattern), moment, language)


def write_datetime(language: str, moment: datetime, form: str) -> list[Piece]:
    """Date and time joined as the language joins them; `form` is full, long, medium or short."""
    template = str(locale_of(language).datetime_formats[form]).replace("'", "")
    parts = {"{1}": write_date(language, moment, form), "{0}": write_time(language, moment)}
    first, second = sorted(parts, key=template.index)
    before, rest = template.split(first)
    between, after = rest.split(second)
    return [
        Piece(before, "other"),
        *parts[first],
        Piece(between, "other"),
        *parts[second],
        Piece(after, "other"),
    ]


def of_day(moment: datetime) -> Split:
    """The split of a calendar day."""
    return split_of("day", moment.strftime("%Y-%m-%d"))


def of_time(moment: datetime) -> Split:
    """The split of a minute of the day, whatever the day."""
    return split_of("time", moment.strftime("%H:%M"))


def draw_moment(draws: Draws, split: Split) -> datetime:
    """A day from 1950 to 2049 and a minute of the day, both of the split."""
    while True:
        day = FIRST_DAY + timedelta(days=draws.below(DAYS))
        if of_day(day) == split:
            break
    while True:
        moment = day + timedelta(minutes=draws.below(1440))
        if of_time(moment) == split:
            return moment


def near_miss(draws: Draws, moment: datetime, split: Split, fields: Sequence[str]) -> datetime:
    """Another of the split's days that differs from this one in one of `fields` only.

    Args:
        draws: Where the choice comes from.
        moment: The day to miss.
        split: Whose days may be taken.
        fields: Out of "day", "month" and "year".
    """
    while True:
        field = draws.pick(fields)
        changed = {
            "day": 1 + draws.below(28),
            "month": 1 + draws.below(12),
            "year": moment.year + draws.below(21) - 10,
        }[field]
        date = {"day": moment.day, "month": moment.month, "year": moment.year, field: changed}
        try:
            other = moment.replace(date["year"], date["month"], date["day"])
        except ValueError:  # 31 June: draw again
            continue
        if other != moment and of_day(other) == split:
            return other


#: Numbers that between them take every plural form of every language; 7 is the plain plural.
_PLURALS: Final = tuple(map(Decimal, ("7", "1", "2", "3", "11", "21", "100", "1000", "1.5")))

#: What a quantity can measure; "money" counts currencies.
DIMENSIONS: Final = (*UNITS, "money")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of units.

    Attributes:
        dimension: One of `DIMENSIONS`.
        unit: CLDR's unit identifier, a currency code, or two units: "length-mile/duration-day".
        number: How many.
    """

    dimension: str
    unit: str
    number: Decimal

    def text(self, language: str, form: Form = "long") -> str:
        """The quantity as the language writes it."""
        return _write(language, self.dimension, self.unit, self.number, form)

    def times(self, number: Decimal) -> Quantity:
        """The same unit with another number."""
        return replace(self, number=number)


def _write(language: str, dimension: str, unit: str, number: Decimal, form: Form) -> str:
    locale = locale_of(language)
    if dimension == "money":
        name = numbers.get_currency_name(unit, count=number, locale=locale)
        pattern = numbers.get_currency_unit_pattern(unit, locale=locale, count=number)
        return clean(pattern.format(numbers.format_decimal(number, locale=locale), name))
    return write_unit(locale, unit, number, form)


@lru_cache(maxsize=8192)
def forms(language: str, dimension: str, unit: str) -> tuple[Form, ...]:
    """The ways to write a unit that are translated: none may be the English one."""
    allowed: tuple[Form, ...] = ("long",) if dimension == "money" else ("long", "short")
    english = {_write("en", dimension, unit, Decimal(7), form).casefold() for form in allowed}

    def translated(form: Form) -> bool:
        texts = [_write(language, dimension, unit, number, form) for number in _PLURALS]
        return all(texts) and (language == "en" or texts[0].casefold() not in english)

    return tuple(form for form in allowed if translated(form))


@lru_cache(maxsize=4096)
def pool(language: str, dimension: str, split: Split) -> tuple[str, ...]:
    """The units of a dimension that a split may use and the language has translated."""
    found: list[str] = []
    found = list(names_in(language, "currency", split)) if dimension == "money" else list(units_in(dimension, split))
    if dimension == "speed":
        tops, bottoms = units_in("length", split), units_in("duration", split)
        found += [f"{top}/{bottom}" for top in tops for bottom in bottoms]
    return tuple(unit for unit in found if "long" in forms(language, dimension, unit))


def draw_number(draws: Draws) -> Decimal:
    """A number that says nothing about what is counted: 1 to 9999, sometimes with a fraction."""
    place = draws.below(10)
    if place < 4:
        return Decimal(1 + draws.below(20))
    if place < 7:
        return Decimal(2 + draws.below(998))
    if place < 9:
        return Decimal(11 + draws.below(980)) / 10
    return Decimal(1000 + draws.below(9000))


def draw_quantity(
    draws: Draws, language: str, split: Split, dimensions: Sequence[str] = DIMENSIONS
) -> Quantity:
    """A quantity of a random dimension that has translated units."""
    possible = [d for d in dimensions if pool(language, d, split)]
    dimension = draws.pick(possible)
    unit = draws.pick(pool(language, dimension, split))
    return Quantity(dimension, unit, draw_number(draws))


def other_number(draws: Draws, number: Decimal) -> Decimal:
    """A different number of the same look: one digit changed, or two swapped."""
    digits = list(str(number))
    while True:
        changed = list(digits)
        at = draws.pick([i for i, c in enumerate(digits) if c != "."])
        changed[at] = str(draws.below(10))
        result = Decimal("".join(changed))
        if changed[0] != "0" and result != number and result > 0:
            return result
