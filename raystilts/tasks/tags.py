"""Schemes of entity tags: IOB1, IOB2, IOBES, BILOU and BMES say the same in other letters."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"O|[BIEMSLU]-.+")

#: What begins an entity, whatever stands before; and what ends one.
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ELSU")


def is_entity_tag(tag: object) -> bool:
    """Whether a tag is outside (O), or a letter of a known scheme and a kind of entity."""
    return isinstance(tag, str) and _TAG.fullmatch(tag) is not None


def iob2(tags: Sequence[str]) -> list[str]:
    """The same entities with a B- at the beginning of each and an I- on the rest (Tjong Kim Sang and Veenstra 1999).

    An entity begins at B-, S- or U-; and at any other letter where no entity of that kind goes on: after O, after
    another kind, or after E-, L-, S- or U-.
    """
    found, open_kind = [], None
    for tag in tags:
        letter, _, kind = tag.partition("-")
        if letter == "O":
            found.append(tag)
            open_kind = None
            continue
        found.append(f"{'B' if letter in _BEGINS or kind != open_kind else 'I'}-{kind}")
        open_kind = None if letter in _ENDS else kind
    return found
