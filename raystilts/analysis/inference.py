"""Rank correlations, permutation tests and intervals that do not claim too much.

Spearman's rho with an interval, a permutation p-value, and a control held constant. Relations over pairs of data
sets: a pair (intermediate, target) is no independent observation, since pairs share their intermediate and their
target. So both sides are ranked within each target, which removes what belongs to the target, and the test permutes
intermediates as wholes, over all targets at once (the quadratic assignment procedure, Mantel 1967 and Hubert 1987,
for a rectangular matrix). Many tests at once: p-values that stay honest for a whole family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = npt.NDArray[np.float64]
#: A finding below this adjusted p is called one.
LEVEL = 0.05
PERMUTATIONS = 9_999
_BLOCK = 1_000


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """A rank correlation over `number` items.

    Attributes:
        low: Lower end of the 95 % interval of Bonett and Wright (Psychometrika 65, 2000): Fisher's z with variance
            (1 + rho^2 / 2) / (n - 3).
        p: Two-sided p-value: by permutation, or from t for a partial correlation.
        controls: How many variables are held constant.
    """

    rho: float
    low: float
    high: float
    p: float
    number: int
    controls: int = 0


def spearman(x: npt.ArrayLike, y: npt.ArrayLike, permutations: int = PERMUTATIONS) -> RankCorrelation:
    """Spearman's rho of two lists of at least 5 values without nan.

    The p-value is exact up to simulation where items are exchangeable; the random numbers are fixed.
    """
    one, other = _ranks(x), _ranks(y)
    rho = _correlation(one, other)
    p = _permutation_p(one, other, rho, permutations)
    low, high = bonett_wright(rho, len(one))
    return RankCorrelation(rho, low, high, p, len(one))


def partial_spearman(x: npt.ArrayLike, y: npt.ArrayLike, control: npt.ArrayLike) -> RankCorrelation:
    """Spearman's rho of what is left of the ranks of x and y when the ranks of a control explain what they can.

    The p-value is from t with n - 3 degrees of freedom; with fewer than 12 items it is too small.
    """
    from scipy.stats import t as student  # here: loading it is slow

    rest = _ranks(control)
    one, other = _residual(_ranks(x), rest), _residual(_ranks(y), rest)
    rho, n = _correlation(one, other), len(one)
    statistic = rho * np.sqrt((n - 3) / max(1e-15, 1.0 - rho**2))
    low, high = bonett_wright(rho, n - 1)
    return RankCorrelation(rho, low, high, float(2 * student.sf(abs(statistic), n - 3)), n, 1)


def bonett_wright(rho: float, number: int) -> tuple[float, float]:
    """The interval of a rank correlation of `number` items (less one for each control)."""
    from scipy.stats import norm

    half = float(norm.ppf(0.975)) * float(np.sqrt((1.0 + rho**2 / 2.0) / (number - 3)))
    centre = float(np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12)))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def _ranks(values: npt.ArrayLike) -> FloatArray:
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(np.asarray(values, dtype=np.float64)), dtype=np.float64)
    return np.asarray(ranks - ranks.mean())


def _correlation(one: FloatArray, other: FloatArray) -> float:
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 1e-9 else 0.0


def _residual(ranks: FloatArray, control: FloatArray) -> FloatArray:
    squares = float(control @ control)
    return ranks - control * (float(control @ ranks) / squares) if squares > 0.0 else ranks


def _permutation_p(one: FloatArray, other: FloatArray, rho: float, permutations: int) -> float:
    rng = np.random.default_rng(0)
    spread = float(np.sqrt((one @ one) * (other @ other)))
    if spread <= 1e-9:
        return 1.0
    larger = 0
    for start in range(0, permutations, _BLOCK):
        size = min(_BLOCK, permutations - start)
        shuffled = rng.permuted(np.tile(other, (size, 1)), axis=1)
        larger += int(np.sum(np.abs(shuffled @ one) / spread >= abs(rho) - 1e-12))
    return (1 + larger) / (1 + permutations)


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
    return _mean_correlation(_ranks_within(one, both), _ranks_within(other, both))


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
        ranks, others = _ranks_within(one, everywhere), _ranks_within(other, everywhere)
        chance = np.asarray([_mean_correlation(ranks[order], others) for order in orders])
    else:
        chance = np.asarray([within_target_rho(one[order], other) for order in orders])
    at_least = int((np.abs(chance) >= abs(found) - 1e-12).sum())
    return Relation(found, (1 + at_least) / (1 + permutations), len(rows), int(both.sum()))


def _ranks_within(values: Matrix, both: NDArray[np.bool_]) -> Matrix:
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


def _mean_correlation(one: Matrix, other: Matrix) -> float:
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / spread if spread > 0 else 0.0


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6, 1979).

    Under any dependence, the probability of a single false rejection at an adjusted p of .05 is at most .05.

    Args:
        p_values: One a test; nan for a test that could not be made, which is no member of the family.

    Returns:
        Adjusted p-values in the order given, nan where nan was given.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def student_half(variance: float, df: float, level: float = 0.95) -> float:
    """Half the width of a t interval: nan where the variance is unknown, 0 where there is none."""
    if variance == 0.0:
        return 0.0
    if not variance > 0.0 or df <= 0:
        return float("nan")
    from scipy.stats import t as student  # here: loading it is slow

    return float(student.ppf(0.5 + level / 2, df)) * float(variance**0.5)
