"""How differently two sets of texts use an encoder's sub-words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raystilts.tasks.features import Ragged

Counts = NDArray[np.float64]


def subword_counts(ids: Ragged, vocabulary: int, special: tuple[int, ...]) -> Counts:
    """How often each sub-word occurs, special tokens left out; shape [vocabulary]."""
    counts = np.bincount(np.asarray(ids.values, dtype=np.int64), minlength=vocabulary).astype(np.float64)
    counts[list(special)] = 0.0
    return counts


def jensen_shannon(one: Counts, other: Counts) -> float:
    """The Jensen-Shannon divergence of two unigram distributions in bits, 0 (equal) to 1 (nothing in common).

    The plug-in estimate of Lin 1991; small samples have few sub-words in common, which makes it larger.

    Args:
        one: Counts, shape [vocabulary], not all zero.
        other: Likewise.
    """
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    return float((_information(p, middle) + _information(q, middle)) / 2)


def _information(p: Counts, middle: Counts) -> float:
    """The Kullback-Leibler divergence from the mixture, in bits."""
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / middle[seen])).sum())
