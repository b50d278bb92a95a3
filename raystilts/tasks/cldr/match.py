"""cldr_match: find a name's counterpart in English."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from raystilts.tasks.cldr.facts import KINDS, Draws, check_matched, names_in

MOST: Final = 250


def rows(language: str, split: str) -> pa.Table:
    """Columns `source_sentence` (the language's name) and `target_sentence` (the English one).

    The same items as the other tasks' dev or test rows, all kinds of names mixed; both sides are
    distinct. There is nothing to train on, and English has no rows.

    Raises:
        UserError: For English or the split "train".
    """
    part = check_matched("cldr_match", "names", language, split)
    draws = Draws("match", language, part)
    found: list[tuple[str, str]] = []
    for kind in KINDS:
        english = names_in("en", kind, part)
        mine = [(n, english[c]) for c, n in names_in(language, kind, part).items() if c in english]
        found += draws.sample(mine, 60)
    found = draws.sample(found, MOST)
    return pa.table(
        {"source_sentence": [f for f, _ in found], "target_sentence": [e for _, e in found]}
    )
