"""How scores change with the size D of the data: power laws, what they are worth, and monotone curves.

g(D) = g_inf - A * D ** -alpha is fitted for each alpha of a grid with weighted least squares inside (variable
projection, Golub and Pereyra 1973): no starting values, no local minima. Intervals are those of the profile: whatever
raises the weighted residual sum of squares by at most s^2 * F(1, df), where s^2 is the variance between seeds ("pure
error") and not the misfit of the curve. They cover .95 at extrapolations of 3 and 10 times, where a bootstrap over
three seeds covers about .8. In-sample fit says little of extrapolation (Alabdulmohsin et al. 2022), so the largest
sizes are held out and the curve must beat the simplest rule there is: the score will stay what it was at the last
size.

Whether a curve only rises, or only falls, is tested by the likelihood ratio of order-restricted inference
(Bartholomew 1959; Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, ch. 2) with
estimated variance: the weighted distance of the means from the nearest monotone curve. Its null distribution is taken
at the least favourable monotone curve, the constant one, by simulation from fixed random numbers, so the p-value errs
on the side of "monotone".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
ALPHAS: FloatArray = np.geomspace(0.05, 2.0, 160)
LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class SizeMeans:
    """Mean scores at increasing sizes.

    Attributes:
        sizes: ``[sizes]``, positive and increasing.
        means: ``[sizes]``.
        counts: ``[sizes]``, runs behind each mean.
        variance: Variance of one run; nan where no run is repeated.
        df: Degrees of freedom of `variance`; 0 where it is unknown.
    """

    sizes: FloatArray
    means: FloatArray
    counts: FloatArray
    variance: float
    df: float

    def first(self, number: int) -> SizeMeans:
        """The smallest sizes alone."""
        return SizeMeans(self.sizes[:number], self.means[:number], self.counts[:number], self.variance, self.df)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % profile interval."""

    value: float
    low: float
    high: float

    def widened(self, half: float) -> Estimate:
        """With an independent error of that half width beside its own."""
        low = self.value - float(np.hypot(self.value - self.low, half))
        return Estimate(self.value, low, self.value + float(np.hypot(self.high - self.value, half)))


@dataclass(frozen=True, slots=True, eq=False)
class PowerLaw:
    """A fitted curve.

    Attributes:
        alpha: With its interval; an end on a bound of the grid is open.
        at_bound: Whether the best alpha is the smallest or the largest that was tried.
        unbounded: Whether the interval of alpha reaches from bound to bound.
        amplitude: A; negative where g falls.
        lack_of_fit_p: P-value of "the means lie on such a curve"; None without repeated runs.
    """

    alpha: Estimate
    at_bound: bool
    unbounded: bool
    amplitude: float
    lack_of_fit_p: float | None
    _profile: _Profile

    @property
    def asymptote(self) -> Estimate:
        """g_inf, the value without end of data."""
        return self._profile.value(None)

    def predict(self, size: float) -> Estimate:
        """g at a size."""
        return self._profile.value(size)


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """Weighted linear fits of g = g_inf + A * z, z = -(D / D0) ** -alpha, one for each alpha of the grid."""

    reference: float
    total: float
    mean: float
    z_means: FloatArray
    z_squares: FloatArray
    slopes: FloatArray
    squares: FloatArray
    threshold: float

    def value(self, size: float | None) -> Estimate:
        """g at a size, None for without end."""
        z = np.zeros_like(ALPHAS) if size is None else -((size / self.reference) ** -ALPHAS)
        fits = self.mean + self.slopes * (z - self.z_means)
        shares = 1.0 / self.total + (z - self.z_means) ** 2 / self.z_squares
        room = self.threshold - self.squares
        inside = room >= 0.0
        half = np.sqrt(shares[inside] * room[inside])
        best = float(fits[np.argmin(self.squares)])
        return Estimate(best, float(np.min(fits[inside] - half)), float(np.max(fits[inside] + half)))


def fit_power_law(points: SizeMeans) -> PowerLaw:
    """Fits the curve.

    Args:
        points: At least four sizes.

    Raises:
        ValueError: Fewer than four sizes: three parameters would leave nothing to judge them by.
    """
    if len(points.sizes) < 4:
        raise ValueError(f"{len(points.sizes)} sizes; a curve of three parameters needs at least 4")
    from scipy.stats import f as fisher  # here: loading it is slow

    d, y, n = points.sizes, points.means, points.counts
    reference = float(np.exp(np.mean(np.log(d))))
    z = -((d[None, :] / reference) ** -ALPHAS[:, None])
    total, mean = float(n.sum()), float(np.sum(n * y) / n.sum())
    z_means = (z * n).sum(axis=1) / total
    centred = z - z_means[:, None]
    z_squares = (n * centred**2).sum(axis=1)
    slopes = (n * centred * (y - mean)).sum(axis=1) / z_squares
    squares = (n * (y - mean - slopes[:, None] * centred) ** 2).sum(axis=1)
    best = int(np.argmin(squares))
    spare = len(d) - 3
    known = points.df > 0 and points.variance > 0.0
    variance, df = (points.variance, points.df) if known else (float(squares[best]) / spare, float(spare))
    threshold = float(squares[best] + variance * fisher.ppf(LEVEL, 1, df))
    inside = np.flatnonzero(squares <= threshold)
    profile = _Profile(reference, total, mean, z_means, z_squares, slopes, squares, threshold)
    misfit = float(fisher.sf(squares[best] / spare / variance, spare, df)) if known else None
    return PowerLaw(
        alpha=Estimate(float(ALPHAS[best]), float(ALPHAS[inside[0]]), float(ALPHAS[inside[-1]])),
        at_bound=best in (0, len(ALPHAS) - 1),
        unbounded=bool(inside[0] == 0 and inside[-1] == len(ALPHAS) - 1),
        amplitude=float(slopes[best] * reference ** ALPHAS[best]),
        lack_of_fit_p=misfit,
        _profile=profile,
    )


#: Sizes that a fit to the rest needs, and the most that are held out.
LEAST, MOST = 4, 2


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Errors on the largest sizes of a curve fitted to the smaller ones, in the unit of the scores.

    Attributes:
        sizes: How many sizes were held out.
        power_law: Mean absolute error of the power law.
        last_value: Mean absolute error of the mean at the last fitted size.
    """

    sizes: int
    power_law: float
    last_value: float

    @property
    def better(self) -> bool:
        """Whether the curve beats the last value."""
        return self.power_law < self.last_value


def hold_out(points: SizeMeans) -> HeldOut | None:
    """Fits the smaller sizes and compares with the two largest (one, where only five sizes are there).

    Returns:
        None with fewer than five sizes.
    """
    out = min(MOST, len(points.sizes) - LEAST)
    if out < 1:
        return None
    kept = len(points.sizes) - out
    fit = fit_power_law(points.first(kept))
    truth = points.means[kept:]
    predicted = np.array([fit.predict(float(size)).value for size in points.sizes[kept:]])
    return HeldOut(
        sizes=out,
        power_law=float(np.mean(np.abs(predicted - truth))),
        last_value=float(np.mean(np.abs(points.means[kept - 1] - truth))),
    )


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


#: Fewer sizes do not identify three parameters: with three, alpha was on a bound in every simulated fit.
LEAST_SIZES = 5
#: Level of the tests that a curve must pass.
CHECK_LEVEL = 0.05
UNIDENTIFIED = "alpha not identified"


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCurve:
    """A curve's fit, and what speaks against showing it.

    Attributes:
        law: The fit; None with too few sizes.
        refused: Why it must not be shown; None where it may.
        monotone_p: P-value of "the means rise throughout, or fall throughout"; None without repeated runs.
    """

    law: PowerLaw | None
    refused: str | None
    monotone_p: float | None


def judge_curve(points: SizeMeans) -> JudgedCurve:
    """Fits a power law and refuses it where it is no description of the means, or one of many.

    Refused are fewer than five sizes; means that neither rise nor fall throughout, beyond the noise between seeds (any
    reversal, where no run is repeated and noise cannot be told from shape); an exponent on a bound, or whose interval
    reaches from bound to bound; means that no power law fits.
    """
    monotone = monotonicity_p(points.means, points.counts, points.variance, points.df)
    if len(points.sizes) < LEAST_SIZES:
        return JudgedCurve(None, f"{len(points.sizes)} sizes; a curve needs at least {LEAST_SIZES}", monotone)
    law = fit_power_law(points)
    return JudgedCurve(law, _refusal(points, law, monotone), monotone)


def _refusal(points: SizeMeans, law: PowerLaw, monotone: float | None) -> str | None:
    steps = np.diff(points.means)
    if monotone is None and (steps > 0).any() and (steps < 0).any():
        return "not monotone, with one run a size"
    if monotone is not None and monotone < CHECK_LEVEL:
        return f"not monotone (p = {monotone:.3f})"
    if law.lack_of_fit_p is not None and law.lack_of_fit_p < CHECK_LEVEL:
        return f"no power law (lack of fit p = {law.lack_of_fit_p:.3f})"
    return UNIDENTIFIED if law.at_bound or law.unbounded else None


def size_reaching(sizes: FloatArray, curves: FloatArray, values: FloatArray) -> FloatArray:
    """The size at which each curve reaches a value, once it has been made to rise (its nearest isotonic curve).

    Args:
        sizes: ``[sizes]``, increasing.
        curves: ``[draws, sizes]``, or one row for all draws.
        values: ``[draws]``.

    Returns:
        ``[draws]``: -inf where the whole curve is above the value, inf where it is below.
    """
    rising = np.broadcast_to(isotonic(curves, np.ones(len(sizes))), (len(values), len(sizes)))
    rows, x = np.arange(len(values)), np.log(sizes)
    right = np.clip((rising <= values[:, None]).sum(axis=1), 1, len(sizes) - 1)
    low, high = rising[rows, right - 1], rising[rows, right]
    share = np.clip((values - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    share = np.where(high > low, share, 1.0)
    found = np.exp(x[right - 1] + share * (x[right] - x[right - 1]))
    found = np.where(values < rising[:, 0], -np.inf, found)
    return np.asarray(np.where(values > rising[:, -1], np.inf, found))


def falling_zero(sizes: FloatArray, gains: FloatArray) -> FloatArray:
    """Where each curve of gains falls through zero, once it has been made to fall.

    Args:
        sizes: ``[sizes]``, increasing.
        gains: ``[draws, sizes]``.

    Returns:
        ``[draws]``: inf where the gain is positive throughout, -inf where it is negative throughout.
    """
    return size_reaching(sizes, -gains, np.zeros(len(gains)))


def interval_end(drawn: FloatArray, share: float) -> float | None:
    """A quantile of draws that may be infinite; None where it is, or where a draw is unknown."""
    if np.isnan(drawn).any():
        return None
    value = float(np.sort(drawn)[round(share * (len(drawn) - 1))])
    return value if np.isfinite(value) else None
