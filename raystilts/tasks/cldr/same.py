"""cldr_same: whether two phrases say the same."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, check_split
from raystilts.tasks.cldr.pairs import PHRASES

LABELS: Final = ("different", "same")
#: Share of the different pairs that differ in one component only; the rest share nothing but form.
NEAR: Final = 0.5
ROWS: Final = {"train": 3000, "validation": 240, "test": 240}


def rows(language: str, split: str) -> pa.Table:
    """Columns `sentence1`, `sentence2`, `label` (one of `LABELS`) and `kind`; kinds are balanced.

    Both classes have the same forms. Half of the different pairs differ in one component only (a
    day, a month, a digit, a unit, a name), the others in all: a hard part and an easy one.
    """
    part = check_split(language, split)
    draws = Draws("same", language, part)
    found: list[tuple[str, str, str, str]] = []
    for kind, draw in PHRASES.items():
        mine: dict[tuple[str, str], str] = {}
        for turn in range(3 * ROWS[part]):
            if len(mine) == ROWS[part] // len(PHRASES):
                break
            phrase = draw(draws, language, part, 1, NEAR)
            if phrase is not None:
                label = LABELS[len(mine) % 2]
                second = phrase.same if label == "same" else phrase.others[0]
                pair = (phrase.text, second) if turn % 2 else (second, phrase.text)
                mine.setdefault(pair, label)
        found += [(*pair, label, kind) for pair, label in mine.items()]
    found = draws.sample(found, len(found))
    columns = ("sentence1", "sentence2", "label", "kind")
    return pa.table({name: [row[i] for row in found] for i, name in enumerate(columns)})
