"""Reproducible choices and the one split of items that all CLDR tasks share."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.cldr import LANGUAGES

Split = Literal["train", "validation", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "test")

#: Share of the items of a kind that training and dev have; test has the rest.
TRAIN_SHARE: Final = 0.55
DEV_SHARE: Final = 0.18

T = TypeVar("T")


def _fraction(key: str) -> float:
    """A number in [0, 1) that only `key` determines."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56


class Draws:
    """Random choices that are the same on every machine and Python version.

    Only `random.Random.random` is used: Python guarantees its sequence, not that of `choice`.
    """

    def __init__(self, *key: str) -> None:
        self._random = random.Random(int(_fraction("\x1f".join(key)) * 2**56))

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1."""
        return int(self._random.random() * n)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` of the items (all, if there are fewer) in random order."""
        pool = list(items)
        count = min(count, len(pool))
        for i in range(count):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:count]


def split_of(kind: str, code: str) -> Split:
    """The split that the item `code` of this kind belongs to, in every task and language."""
    place = _fraction(f"{kind}\x1f{code}")
    if place < TRAIN_SHARE:
        return "train"
    return "validation" if place < TRAIN_SHARE + DEV_SHARE else "test"


def share_out(kind: str, codes: Sequence[str]) -> dict[Split, tuple[str, ...]]:
    """Splits a small set of items so that each split has at least one of three or more."""
    ranked = sorted(codes, key=lambda code: _fraction(f"{kind}\x1f{code}"))
    held_out = max(1, round(len(ranked) * (1 - TRAIN_SHARE - DEV_SHARE)))
    dev = max(1, round(len(ranked) * DEV_SHARE))
    return {
        "test": tuple(ranked[:held_out]),
        "validation": tuple(ranked[held_out : held_out + dev]),
        "train": tuple(ranked[held_out + dev :]),
    }


def check_split(language: str, split: str) -> Split:
    """Returns `split`, typed, if the CLDR tasks have it in this language.

    Raises:
        UserError: The language or the split is unknown, or training data is asked for in a
            language other than English.
    """
    if language not in LANGUAGES:
        raise UserError(
            f"language {language!r} has no CLDR tasks; {did_you_mean(str(language), LANGUAGES)}"
        )
    for known in SPLITS:
        if split == known and (known != "train" or language == "en"):
            return known
    allowed = SPLITS if language == "en" else SPLITS[1:]
    raise UserError(
        f"split {split!r} of the CLDR tasks does not exist in {language!r}: "
        f"only English has training data; use one of {', '.join(allowed)}"
    )
