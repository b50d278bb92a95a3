"""How good a ranking of intermediates was, once their outcome is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, log2

import numpy as np


def regret_at(predicted: Sequence[float], outcome: Sequence[float], k: int) -> float:
    """(best - best of the k picked) / best: the share of the best score that is lost by running the first k only.

    Args:
        predicted: Higher is better, one an intermediate.
        outcome: Its score, 0 to 1, likewise.
        k: How many are picked; ties go to the one that stands first.
    """
    best = max(outcome)
    picked = np.argsort(-np.asarray(predicted), kind="stable")[:k]
    return (best - max(outcome[i] for i in picked)) / best if best > 0 else 0.0


def random_regret_at(outcome: Sequence[float], k: int) -> float:
    """The expected regret of picking k at random."""
    ascending = sorted(outcome)
    number, best = len(ascending), ascending[-1]
    k = min(k, number)
    expected = sum(value * comb(i, k - 1) for i, value in enumerate(ascending)) / comb(number, k)
    return (best - expected) / best if best > 0 else 0.0


def ndcg(predicted: Sequence[float], outcome: Sequence[float]) -> float:
    """Normalised discounted cumulative gain (Jarvelin and Kekalainen 2002) of the whole ranking, 0 to 1.

    An intermediate's relevance is its score on a scale from the worst (0) to the best (1) of the target.
    """
    low, high = min(outcome), max(outcome)
    if high == low:
        return 1.0
    relevance = [(value - low) / (high - low) for value in outcome]
    order = np.argsort(-np.asarray(predicted), kind="stable")
    return _discounted([relevance[i] for i in order]) / _discounted(sorted(relevance, reverse=True))


def _discounted(relevance: Sequence[float]) -> float:
    return sum(value / log2(place + 2) for place, value in enumerate(relevance))
