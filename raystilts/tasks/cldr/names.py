"""cldr_names: what a localized name is the name of."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import Draws, check_split, join, names_in

LABELS: Final = ("territory", "language", "currency", "city", "unit", "zone")
ROWS: Final = {"train": 1800, "validation": 240, "test": 240}

#: A class with fewer names than this in a language is left out there.
FEWEST: Final = 5


def _capital(name: str) -> str:
    # English writes units small and all else with a capital: that must not tell them apart.
    return name[:1].upper() + name[1:]


def _texts(draws: Draws, language: str, pool: list[str], count: int) -> list[str]:
    """Up to `count` distinct lists of one to three names."""
    found: dict[str, None] = {}
    for _ in range(4 * count):
        chosen = draws.sample(pool, 1 + draws.below(3))
        found[join(language, [_capital(name) for name in chosen])] = None
        if len(found) == count:
            break
    return list(found)


def rows(language: str, split: str) -> pa.Table:
    """Columns `text` (one to three names of a class) and `label` (one of `LABELS`).

    Every class has the same number of rows, as far as its names go.
    """
    part = check_split(language, split)
    draws = Draws("names", language, part)
    pools = {kind: list(names_in(language, kind, part).values()) for kind in LABELS}
    pools = {kind: pool for kind, pool in pools.items() if len(pool) >= FEWEST}
    count = ROWS[part] // len(pools)
    texts = [(t, kind) for kind in pools for t in _texts(draws, language, pools[kind], count)]
    texts = draws.sample(texts, len(texts))
    return pa.table({"text": [t for t, _ in texts], "label": [k for _, k in texts]})
