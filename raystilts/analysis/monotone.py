"""Whether a curve only rises, or only falls: isotonic means, and a test against every monotone curve.

The test is the likelihood ratio of order-restricted inference (Bartholomew 1959; Robertson, Wright and Dykstra, "Order
Restricted Statistical Inference", 1988, ch. 2) with estimated variance: the weighted distance of the means from the
nearest monotone curve. Its null distribution is taken at the least favourable monotone curve, the constant one, by
simulation from fixed random numbers, so the p-value errs on the side of "monotone".
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_DRAWS = 10_000


def isotonic(values: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """The nearest non-decreasing sequence in weighted least squares, by the min-max formula.

    Args:
        values: ``[..., points]``.
        weights: ``[points]``, positive.

    Returns:
        The shape of `values`.
    """
    y, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    points = y.shape[-1]
    zero = np.zeros((*y.shape[:-1], 1))
    sums = np.concatenate([zero, np.cumsum(y * w, axis=-1)], axis=-1)
    totals = np.concatenate([[0.0], np.cumsum(w)])
    fitted = np.empty_like(y)
    for k in range(points):
        # The largest, over starts at or before k, of the smallest mean over ends at or after k.
        starts = [
            np.min((sums[..., k + 1 :] - sums[..., [i]]) / (totals[k + 1 :] - totals[i]), axis=-1) for i in range(k + 1)
        ]
        fitted[..., k] = np.max(starts, axis=0)
    return fitted


def monotonicity_p(means: npt.ArrayLike, counts: npt.ArrayLike, variance: float, df: float) -> float | None:
    """P-value of "the true means rise throughout, or fall throughout"; small says that they do neither.

    Args:
        means: ``[points]``, in order of size.
        counts: ``[points]``, runs behind each mean.
        variance: Variance of one run, estimated with `df` degrees of freedom.

    Returns:
        None where the variance is unknown, and with two points, which are always monotone.
    """
    y, n = np.asarray(means, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if len(y) < 3 or df <= 0 or not variance > 0.0:
        return None
    rising, falling = _distance(y, n), _distance(-y, n)
    statistic = min(rising, falling) / variance
    null = _null(tuple(n.tolist()), float(df))
    return float((1 + np.sum(null >= statistic)) / (1 + len(null)))


def _distance(y: FloatArray, n: FloatArray) -> float:
    return float(np.sum(n * (y - isotonic(y, n)) ** 2))


@lru_cache(maxsize=64)
def _null(counts: tuple[float, ...], df: float) -> FloatArray:
    """Distances from the nearest rising curve, in units of the estimated variance, where all means are equal."""
    rng = np.random.default_rng(0)
    n = np.array(counts)
    y = rng.standard_normal((_DRAWS, len(n))) / np.sqrt(n)
    squares = np.sum(n * (y - isotonic(y, n)) ** 2, axis=1)
    return np.asarray(squares / (rng.chisquare(df, _DRAWS) / df))
