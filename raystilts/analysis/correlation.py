"""Spearman's rank correlation with an interval, a permutation p-value, and controls held constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

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


def bonett_wright(rho: float, number: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a rank correlation of `number` items (less one for each control)."""
    from scipy.stats import norm

    half = float(norm.ppf(0.5 + level / 2)) * float(np.sqrt((1.0 + rho**2 / 2.0) / (number - 3)))
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
