"""A batch in pieces, each of which goes through the model at once."""

from __future__ import annotations

import numpy as np

from raystilts.tasks.features import Features, Longs
from raystilts.training.collate import features_of


def micro_batches(features: Features, examples: Longs, size: int, tokens: int | None) -> list[Longs]:
    """A batch's examples, shortest first, in pieces.

    Args:
        examples: Of the batch, in any order; of each there is at least one feature.
        size: Examples a piece, at most.
        tokens: Sub-words a piece, padding and all features counted, at most; an example that has more is a piece of
            its own. None for no limit.
    """
    number = np.searchsorted(features.example, examples, side="right") - np.searchsorted(features.example, examples)
    lengths = features.input_ids.lengths[features_of(features, examples)]
    longest = np.maximum.reduceat(lengths, np.cumsum(number) - number)
    order = np.argsort(longest, kind="stable")
    pieces: list[list[int]] = [[]]
    held = 0
    for at in order.tolist():
        held += int(number[at])
        full = len(pieces[-1]) == size or (tokens is not None and held * int(longest[at]) > tokens)
        if full and pieces[-1]:
            pieces.append([])
            held = int(number[at])
        pieces[-1].append(at)
    return [examples[piece] for piece in pieces]
