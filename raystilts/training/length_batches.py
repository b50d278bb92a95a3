"""Batches of similar length, for what is read once and not trained on."""

from __future__ import annotations

import numpy as np

from raystilts.tasks.features import Longs


def length_batches(lengths: Longs, tokens: int, unit: int = 1) -> list[Longs]:
    """Features, longest first, in batches of at most `tokens` padded tokens.

    Longest first: a batch that is too large for the device fails at once.

    Args:
        lengths: Tokens of each feature, [features].
        tokens: Padded tokens a batch; a longer feature is a batch of its own.
        unit: So many consecutive features stay together, as the choices of a question do; divides `features`.

    Returns:
        Indices of the features of each batch.
    """
    batches: list[Longs] = []
    longest = lengths.reshape(-1, unit).max(axis=1)
    order = np.argsort(-longest, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // int(max(longest[order[start]], 1) * unit))
        groups = order[start : start + size]
        batches.append((groups[:, None] * unit + np.arange(unit)).reshape(-1))
        start += size
    return batches
