"""Relations over pairs of data sets: within targets, with whole intermediates as the unit of chance.

A pair (intermediate, target) is no independent observation: pairs share their intermediate and their target. So both
sides are ranked within each target, which removes what belongs to the target, and the test permutes intermediates as
wholes, over all targets at once (the quadratic assignment procedure, Mantel 1967 and Hubert 1987, for a rectangular
matrix).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Matrix = NDArray[np.float64]

#: With fewer intermediates a permutation test over them says next to nothing.
LEAST_INTERMEDIATES = 8


@dataclass(frozen=True, slots=True)
class Relation:
    """How two matrices of intermediates by targets go together.

    Attributes:
        rho: The rank correlation within targets, over all of them.
        p: The share of permutations of the intermediates with a correlation at least as large, either way.
        intermediates: Rows that have a pair.
        pairs: Entries that both matrices have.
    """

    rho: float
    p: float
    intermediates: int
    pairs: int


def within_target_rho(one: Matrix, other: Matrix) -> float:
    """The correlation of ranks within columns, pooled over columns; 0 where nothing varies.

    Args:
        one: Shape [intermediates, targets], NaN where there is no value.
        other: Likewise; an entry counts where both have one.
    """
    both = np.isfinite(one) & np.isfinite(other)
    return _correlation(_ranks(one, both), _ranks(other, both))


def qap(one: Matrix, other: Matrix, permutations: int = 9999, seed: int = 0) -> Relation:
    """The relation of two matrices, tested by permuting the rows of one.

    Args:
        one: Shape [intermediates, targets], NaN where there is no value.
        other: Likewise.
        permutations: Random ones; p is at least 1 / (permutations + 1).

    Raises:
        ValueError: Fewer than `LEAST_INTERMEDIATES` rows have a pair.
    """
    both = np.isfinite(one) & np.isfinite(other)
    rows = np.flatnonzero(both.any(axis=1))
    if len(rows) < LEAST_INTERMEDIATES:
        raise ValueError(f"{len(rows)} intermediates; a relation over pairs needs {LEAST_INTERMEDIATES}")
    one, other = one[rows], other[rows]
    found = within_target_rho(one, other)
    rng = np.random.default_rng([37, seed])
    orders = (rng.permutation(len(rows)) for _ in range(permutations))
    if np.isfinite(one).all() and np.isfinite(other).all():
        # Complete matrices keep their ranks whatever the order.
        everywhere = np.ones(one.shape, dtype=np.bool_)
        ranks, others = _ranks(one, everywhere), _ranks(other, everywhere)
        chance = np.asarray([_correlation(ranks[order], others) for order in orders])
    else:
        chance = np.asarray([within_target_rho(one[order], other) for order in orders])
    at_least = int((np.abs(chance) >= abs(found) - 1e-12).sum())
    return Relation(found, (1 + at_least) / (1 + permutations), len(rows), int(both.sum()))


def _ranks(values: Matrix, both: NDArray[np.bool_]) -> Matrix:
    """Ranks within columns with mean 0; 0 where an entry does not count."""
    if both.all():
        ranks = rankdata(values, axis=0)
        return np.asarray(ranks - ranks.mean(axis=0))
    out = np.zeros_like(values)
    for column in range(values.shape[1]):
        there = both[:, column]
        if there.any():
            ranks = rankdata(values[there, column])
            out[there, column] = ranks - ranks.mean()
    return out


def _correlation(one: Matrix, other: Matrix) -> float:
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / spread if spread > 0 else 0.0
