"""Metrics of one number an item: Pearson's and Spearman's correlation with the gold (STS-B), from 0 to 1.

Scores lie in 0..1 everywhere here, and correlations in -1..1: a negative one counts as 0, since a model that orders
items the wrong way round is of no more use than one that says the same of all of them, which gets 0 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from raystilts.metrics.classification import require_pairs


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson's correlation, 0 where it is negative or one side is constant.

    Args:
        predictions: One number an item, on any scale.
        gold: One number an item.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: Lengths differ, or there are no items.
    """
    require_pairs(predictions, gold)
    return _correlation(np.asarray(predictions, dtype=np.float64), np.asarray(gold, dtype=np.float64))


def spearman(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """Spearman's rank correlation likewise: Pearson's of the ranks, equal numbers sharing the mean of theirs."""
    from scipy.stats import rankdata

    require_pairs(predictions, gold)
    return _correlation(rankdata(predictions), rankdata(gold))


def pearson_spearman(predictions: Sequence[float], gold: Sequence[float]) -> float:
    """The mean of both, which GLUE ranks STS-B by (Wang et al. 2019)."""
    return (pearson(predictions, gold) + spearman(predictions, gold)) / 2


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    found = float(one @ other) / float(np.sqrt((one @ one) * (other @ other)))
    return min(1.0, max(0.0, found))


#: What a regression reports, by name.
METRICS: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {
    "pearson": pearson,
    "spearman": spearman,
    "pearson_spearman": pearson_spearman,
}
