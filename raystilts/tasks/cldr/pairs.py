"""Two ways to write the same thing, and near misses: shared by cldr_same and cldr_choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from raystilts.tasks.cldr.facts import Draws, Split, join, names_in
from raystilts.tasks.cldr.phrases import (
    DIMENSIONS,
    Quantity,
    draw_moment,
    draw_quantity,
    forms,
    has_form,
    near_miss,
    of_time,
    other_number,
    plain,
    pool,
    write_date,
)

_LONG_DATES: Final = ("full", "long", "yMMMEd")
_SHORT_DATES: Final = ("medium", "short", "yMd")

#: Minutes by which a near miss is off: half a day, hours, tens of minutes, minutes.
_SHIFTS: Final = (720, 60, -60, 120, 180, 10, -10, 20, 30, -30, 1, -1, 2, 5, -5)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase, another rendering of the same, and renderings of what is nearly the same.

    Attributes:
        text: The phrase.
        same: The same thing, written differently.
        others: Written like `same`; near misses but for one component, far ones unrelated.
    """

    text: str
    same: str
    others: tuple[str, ...]


def _distinct(draw: Callable[[], str], count: int, *taken: str) -> tuple[str, ...] | None:
    """`count` different texts that are none of `taken`; None if they cannot be found."""
    found: dict[str, None] = {}
    for _ in range(12 * count):
        text = draw()
        if text not in taken:
            found[text] = None
        if len(found) == count:
            return tuple(found)
    return None


def date_phrase(
    draws: Draws, language: str, split: Split, count: int, near: float
) -> Phrase | None:
    """A date with its month in words, against dates off in day, month or year, or in all."""
    moment = draw_moment(draws, split)
    forms_ = [draws.pick(_LONG_DATES), draws.pick(_SHORT_DATES)]
    if not all(has_form(language, form) for form in forms_):
        return None
    text, same = (plain(write_date(language, moment, form)) for form in forms_)

    def miss() -> str:
        other = draw_moment(draws, split)
        if draws.chance(near):
            other = near_miss(draws, moment, split, ("day", "month", "year"))
        return plain(write_date(language, other, forms_[1]))

    others = _distinct(miss, count, text, same)
    return None if others is None or text == same else Phrase(text, same, others)


def time_phrase(
    draws: Draws, language: str, split: Split, count: int, near: float
) -> Phrase | None:
    """A time on the clock of twelve hours, against the clock of twenty-four."""
    moment = draw_moment(draws, split)
    shifted = [moment + timedelta(minutes=minutes) for minutes in _SHIFTS]
    rivals = [time for time in shifted if of_time(time) == split]
    text = plain(write_date(language, moment, "hm"))
    same = plain(write_date(language, moment, "Hm"))
    if not rivals:
        return None

    def miss() -> str:
        other = draws.pick(rivals) if draws.chance(near) else draw_moment(draws, split)
        return plain(write_date(language, other, "Hm"))

    others = _distinct(miss, count, text, same)
    return None if others is None or text == same else Phrase(text, same, others)


def quantity_phrase(
    draws: Draws, language: str, split: Split, count: int, near: float
) -> Phrase | None:
    """A quantity in words, against abbreviations with another number or unit, or both."""
    quantity = draw_quantity(draws, language, split, DIMENSIONS[:-1])
    dimension = quantity.dimension
    text, same = quantity.text(language), quantity.text(language, "short")
    rivals = [u for u in pool(language, dimension, split) if u != quantity.unit]

    def miss() -> str:
        if not draws.chance(near):
            return draw_quantity(draws, language, split, DIMENSIONS[:-1]).text(language, "short")
        if rivals and draws.chance(0.6):
            return Quantity(dimension, draws.pick(rivals), quantity.number).text(language, "short")
        return quantity.times(other_number(draws, quantity.number)).text(language, "short")

    others = _distinct(miss, count, text, same)
    translated = "long" in forms(language, dimension, quantity.unit)
    return Phrase(text, same, others) if others and translated and text != same else None


def list_phrase(
    draws: Draws, language: str, split: Split, count: int, near: float
) -> Phrase | None:
    """Three names, against the same in another order with one replaced, or all."""
    kind = draws.pick(("territory", "language", "currency", "city"))
    known = list(names_in(language, kind, split).values())
    chosen = draws.sample(known, 3)
    rest = [name for name in known if name not in chosen]
    if len(rest) < 3:
        return None

    def shuffled(parts: list[str]) -> str:
        return join(language, draws.sample(parts, 3))

    def miss() -> str:
        kept = draws.sample(chosen, 2 if draws.chance(near) else 0)
        return shuffled([*kept, *draws.sample(rest, 3 - len(kept))])

    text = join(language, chosen)
    same = next(iter(_distinct(lambda: shuffled(chosen), 1, text) or ()), None)
    others = _distinct(miss, count, text)
    return None if same is None or others is None else Phrase(text, same, others)


#: Kind of phrase -> how to draw one, with `near` as the share of near misses. It gives None
#: where a draw cannot be written twice.
PHRASES: Final = {
    "date": date_phrase,
    "time": time_phrase,
    "quantity": quantity_phrase,
    "list": list_phrase,
}
