"""cldr_units: what a quantity measures."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, check_split
from raystilts.tasks.cldr.phrases import DIMENSIONS, Quantity, draw_number, forms, pool

LABELS: Final = DIMENSIONS
ROWS: Final = {"train": 1980, "validation": 242, "test": 242}


def rows(language: str, split: str) -> pa.Table:
    """Columns `text` (a quantity: "12.5 miles per hour") and `label` (one of `LABELS`), balanced.

    A unit belongs to one split; dimensions whose units the language has not translated are absent.
    """
    part = check_split(language, split)
    draws = Draws("units", language, part)
    present = [d for d in LABELS if pool(language, d, part)]
    count = ROWS[part] // len(present)
    found: dict[str, str] = {}
    for dimension in present:
        units = pool(language, dimension, part)
        mine = 0
        while mine < count:
            unit = draws.pick(units)
            quantity = Quantity(dimension, unit, draw_number(draws))
            text = quantity.text(language, draws.pick(forms(language, dimension, unit)))
            mine += text not in found
            found[text] = dimension
    texts = draws.sample(list(found.items()), len(found))
    return pa.table({"text": [t for t, _ in texts], "label": [d for _, d in texts]})
