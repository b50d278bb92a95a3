"""Quantities: a number and what it counts, written the long or the short way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

from babel import numbers

from raystilts.tasks.cldr.draws import Draws, Split
from raystilts.tasks.cldr.facts import Form, clean, locale_of, names_in, write_unit
from raystilts.tasks.cldr.unit_list import UNITS, units_in

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
