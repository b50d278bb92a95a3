"""What joint draws of the arms' scores say: P(best), regret, the set not told apart, intervals."""

from __future__ import annotations

import numpy as np

from raystilts.ranking.intervals import BoolArray, FloatArray

_SLACK = 1e-9  # of sums of probabilities
ROUNDING_SHARE = 1e-12  # draws closer than this share of the score are equal


def best_of(draws: FloatArray, competes: BoolArray) -> tuple[FloatArray, FloatArray]:
    """P(best) and expected regret of the competing rows of ``draws[arm, draw]``; nan elsewhere.

    Arms that are exactly equal in a draw share it.
    """
    p_best, regret = np.full(len(draws), np.nan), np.full(len(draws), np.nan)
    rows = np.flatnonzero(competes)
    if len(rows):
        behind = draws[rows]
        top = behind.max(axis=0)
        np.subtract(top, behind, out=behind)
        regret[rows] = behind.mean(axis=1)
        winners = behind <= ROUNDING_SHARE * np.abs(top)
        shares = winners.sum(axis=0)
        p_best[rows] = winners.mean(axis=1) if shares.max() == 1 else (winners / shares).mean(axis=1)
    return p_best, regret


def smallest_set(p_best: FloatArray, effects: FloatArray, mass: float) -> tuple[int, ...]:
    """Arms added by falling P(best) until their sum reaches `mass`; ties enter together."""
    known = np.flatnonzero(~np.isnan(p_best))
    if not len(known):
        return ()
    order = known[np.lexsort((-effects[known], -p_best[known]))]
    reached = int(np.searchsorted(np.cumsum(p_best[order]), mass - _SLACK))
    floor = p_best[order[min(reached, len(order) - 1)]] - _SLACK
    return tuple(int(i) for i in order if p_best[i] >= floor and p_best[i] > 0.0)


def interval(values: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Central interval of each row of ``values[row, draw]`` (nearest order statistics)."""
    draws = values.shape[1]
    tail = (1.0 - level) / 2.0
    low, high = round(tail * (draws - 1)), round((1.0 - tail) * (draws - 1))
    ordered = np.sort(values, axis=1)  # much faster than `partition` where the processor sorts by vectors
    return ordered[:, low], ordered[:, high]
