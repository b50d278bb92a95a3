"""cldr_choice: which of four phrases fits a given one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, Split, check_split, join, names_in
from raystilts.tasks.cldr.names import FEWEST
from raystilts.tasks.cldr.names import LABELS as NAME_KINDS
from raystilts.tasks.cldr.pairs import Phrase, date_phrase, quantity_phrase
from raystilts.tasks.cldr.phrases import DIMENSIONS, Quantity, draw_quantity, pool

CHOICES: Final = 4
#: Share of wrong dates and quantities that differ from the right one in one component only.
NEAR: Final = 0.15
ROWS: Final = {"train": 2000, "validation": 240, "test": 240}


def _kin(draws: Draws, language: str, split: Split, count: int) -> Phrase | None:
    """Two names of a kind and a third, against names of other kinds."""
    pools = {k: list(names_in(language, k, split).values()) for k in NAME_KINDS}
    kinds = draws.sample([k for k, p in pools.items() if len(p) >= FEWEST], count + 1)
    if len(kinds) <= count:
        return None
    first, second, same = draws.sample(pools[kinds[0]], 3)
    others = tuple(draws.pick(pools[kind]) for kind in kinds[1:])
    return Phrase(join(language, [first, second]), same, others)


def _measure(draws: Draws, language: str, split: Split, count: int) -> Phrase | None:
    """A quantity and another of the same dimension, against other dimensions."""
    given = draw_quantity(draws, language, split)
    rest = [d for d in DIMENSIONS if d != given.dimension and pool(language, d, split)]
    mates = [u for u in pool(language, given.dimension, split) if u != given.unit]
    if not mates or len(rest) < count:
        return None
    quantities = [Quantity(given.dimension, draws.pick(mates), given.number)]
    quantities += [draw_quantity(draws, language, split, (d,)) for d in draws.sample(rest, count)]
    # One number for all four: only the unit can tell which one fits.
    number = draw_quantity(draws, language, split).number
    same, *others = (quantity.times(number).text(language) for quantity in quantities)
    return Phrase(given.text(language), same, tuple(others))


#: Kind of question -> how to draw one.
_QUESTIONS: Final[Mapping[str, Callable[[Draws, str, Split, int], Phrase | None]]] = {
    "kin": _kin,
    "measure": _measure,
    "date": partial(date_phrase, near=NEAR),
    "quantity": partial(quantity_phrase, near=NEAR),
}


def rows(language: str, split: str) -> pa.Table:
    """Columns `question`, `choices` (four texts), `label` (index of the right one) and `kind`.

    The right choice is another name of the same kind, another quantity of the same dimension, or
    the same date or quantity written differently.
    """
    part = check_split(language, split)
    draws = Draws("choice", language, part)
    found: dict[tuple[str, tuple[str, ...]], tuple[int, str]] = {}
    for kind, draw in _QUESTIONS.items():
        aim = len(found) + ROWS[part] // len(_QUESTIONS)
        for _ in range(3 * ROWS[part]):
            if len(found) == aim:
                break
            phrase = draw(draws, language, part, CHOICES - 1)
            if phrase is None or len({phrase.text, phrase.same, *phrase.others}) < CHOICES + 1:
                continue
            right = len(found) % CHOICES
            choices = [*phrase.others[:right], phrase.same, *phrase.others[right:]]
            found.setdefault((phrase.text, tuple(choices)), (right, kind))
    shuffled = draws.sample(list(found.items()), len(found))
    return pa.table(
        {
            "question": [question for (question, _), _ in shuffled],
            "choices": [list(choices) for (_, choices), _ in shuffled],
            "label": [label for _, (label, _) in shuffled],
            "kind": [kind for _, (_, kind) in shuffled],
        }
    )
