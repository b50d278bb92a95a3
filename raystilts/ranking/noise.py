"""How noisy each arm's runs are, and which of them collapsed.

Fine-tuning noise differs from arm to arm: good intermediates are quiet, bad ones are not, and a run that collapsed
without breaking a rule looks like noise. One pooled variance is then wrong for every arm, and an arm's own variance has
2 degrees of freedom at 3 seeds. Between the two are moderated variances (Smyth, "Linear models and empirical Bayes
methods for assessing differential expression", SAGMB 3, 2004): ``variance_i ~ IG(h/2, h tau/2)`` around the stratum's
tau, with h and tau integrated over a grid, so that the data say how alike the arms are. With a small probability a run
has collapsed: it lies anywhere below the others, and says nothing of its arm (a mixture with a flat part, as in Box and
Tiao, Biometrika 55, 1968). So an arm with several runs has two readings: all are sound, or the lowest is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from raystilts.ranking.intervals import BoolArray, Decomposition, FloatArray, IntArray

COLLAPSE = 0.01  # prior probability that a run has collapsed
REACH = 12.0  # how far below the others it may lie, in standard deviations of a sound run
_LIKE = np.array([2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 24.0, 60.0])  # h: how alike the arms' variances are
_LEVELS = np.exp(np.linspace(-3.0, 2.5, 14))  # tau, in units of the residuals' robust variance
_SWEEPS = 2
_RARE = 0.02  # readings less likely than this are left out
_RARE_NODE = 1e-4  # likewise nodes, as a share of the likeliest


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What the runs of each arm may say, and how noisy they are.

    Attributes:
        arm: ``[readings]``, row of the score table; arms with one reading come first.
        first: ``[arms]``, first reading of each arm.
        single: Number of arms with one reading.
        effects: ``[readings]``, mean score of the sound runs, adjusted for seeds.
        runs: ``[readings]``, sound runs.
        squares: ``[readings]``, sum of their squared residuals.
        shares: ``[readings]``, probability of the reading before other arms are looked at; an arm's sum to 1.
        df: ``[readings]``, degrees of freedom of `squares`.
        like: ``[nodes]``, h.
        level: ``[nodes]``, tau.
        weights: ``[nodes]``, posterior weight of the node; sums to 1.
        lost: ``[readings]``, column of the run that has collapsed by this reading; -1 where all are sound.
        items: ``[readings]``, variance of the arm's score by its items, which more runs do not lower; None for none.
    """

    arm: IntArray
    first: IntArray
    single: int
    effects: FloatArray
    runs: FloatArray
    squares: FloatArray
    shares: FloatArray
    df: FloatArray
    like: FloatArray
    level: FloatArray
    weights: FloatArray
    lost: IntArray
    items: FloatArray | None = None

    @property
    def variances(self) -> FloatArray:
        """``[readings]``, moderated variance of a run: one over the posterior mean of its inverse."""
        precision = (self.like + self.df[:, None]) / (self.like * self.level + self.squares[:, None])
        return np.asarray(1.0 / (precision @ self.weights))


@dataclass(frozen=True, slots=True, eq=False)
class _Ways:
    """``[arms, 2]`` each: all runs sound, and the lowest one lost; `means` are of residuals."""

    runs: FloatArray
    means: FloatArray
    squares: FloatArray
    df: FloatArray
    prior: FloatArray


def readings(
    table: FloatArray, fit: Decomposition, arms: IntArray, items: FloatArray | None = None
) -> Readings:
    """The readings of every arm that has runs and noise.

    Args:
        table: ``[arms, seeds]``, nan where a run is missing.
        fit: Its decomposition, with a positive residual variance.
        arms: All arms with runs and noise, in the order that the readings shall have.
        items: ``[all arms]``, variance of each score by its items.
    """
    used = np.flatnonzero(~np.isnan(fit.seed_effects))
    scores = table[np.ix_(arms, used)]
    seen = ~np.isnan(scores)
    start = scores - fit.effects[arms, None] - fit.seed_effects[used]
    counts = seen.sum(axis=1)
    freedom = (counts - 1.0) * (fit.df / max(float((counts - 1).sum()), 1.0))
    part = fit.parts[arms][seen.argmax(axis=0)]
    residuals, unit = _weighted(start, seen, part[:, None] == part, freedom)
    ways = _ways(residuals, counts, freedom, unit)
    like, level, weights, shares = _weigh(ways, unit)
    shares = np.where(shares > _RARE, shares, 0.0)
    shares /= shares.sum(axis=1, keepdims=True)
    number = (shares > 0.0).sum(axis=1)
    order = np.argsort(number > 1, kind="stable")
    row, way = np.nonzero(shares[order])
    row = order[row]
    lowest = used[np.where(seen, residuals, np.inf).argmin(axis=1)]
    return Readings(
        arm=arms[row],
        first=np.cumsum(number[order]) - number[order],
        single=int((number == 1).sum()),
        effects=fit.effects[arms[row]] + ways.means[row, way],
        runs=ways.runs[row, way],
        squares=ways.squares[row, way],
        shares=shares[row, way],
        df=ways.df[row, way],
        like=like,
        level=level,
        weights=weights,
        lost=np.where(way == 1, lowest[row], -1),
        items=None if items is None else items[arms[row]],
    )


def _robust_variance(residuals: FloatArray, df: float) -> float:
    """From the median absolute residual, which collapsed runs do not set; from all where that is 0."""
    size = np.sort(np.abs(residuals))
    middle, pooled = float(size[len(size) // 2]), float((size**2).sum()) / df
    robust = (1.4826 * middle) ** 2 * len(size) / df
    return robust if robust > 1e-9 * pooled else pooled


def _weighted(
    start: FloatArray, seen: BoolArray, together: BoolArray, freedom: FloatArray
) -> tuple[FloatArray, float]:
    """Residuals around the arms' own effects, with the seeds' shifts from weighted least squares (nan where no run).

    Noisy arms say little of a seed. The weights come from residuals that no shift of a seed changes, so that the
    answer does not either. `together` ``[seeds, seeds]`` tells which seeds are of one part: their shifts sum to 0.
    Also the robust variance of the residuals.
    """
    values = np.where(seen, start, 0.0)
    residuals, df = values, float(freedom.sum())
    if not (seen.sum(axis=0) > 1).any():  # no seed tells of two arms, and none has a shift
        return np.where(seen, start, np.nan), _robust_variance(residuals[seen], df)
    for _ in range(_SWEEPS):
        unit = _robust_variance(residuals[seen], df)
        squares = (residuals**2).sum(axis=1)
        weight = seen / ((4.0 * unit + squares) / (4.0 + freedom))[:, None]
        total = weight.sum(axis=1, keepdims=True)
        means = (weight * values).sum(axis=1, keepdims=True) / total
        information = np.diag(weight.sum(axis=0)) - weight.T @ (weight / total)
        scale = float(np.trace(information)) / len(information) or 1.0
        right = (weight * (values - means)).sum(axis=0)
        shift = np.linalg.solve(information + scale / len(information) * together, right)
        rest = (values - shift) * seen
        residuals = np.where(seen, rest - (weight * rest).sum(axis=1, keepdims=True) / total, 0.0)
    return np.where(seen, start - shift, np.nan), _robust_variance(residuals[seen], df)


def _ways(residuals: FloatArray, counts: IntArray, freedom: FloatArray, unit: float) -> _Ways:
    """All runs sound, or the lowest one lost."""
    ordered = np.sort(residuals, axis=1)  # nan last
    place = np.arange(ordered.shape[1])
    seen = place < counts[:, None]
    values = np.where(seen, ordered, 0.0)
    kept = np.stack([seen, seen & (place > 0)], axis=1)
    runs = np.maximum(kept.sum(axis=2), 1)
    means = (kept * values[:, None, :]).sum(axis=2) / runs
    squares = (kept * (values[:, None, :] - means[:, :, None]) ** 2).sum(axis=2)
    share = freedom / np.maximum(counts - 1, 1)
    # a lost run lies anywhere in REACH standard deviations below; factors that the two ways share are left out
    lost = math.log(COLLAPSE / REACH) - math.log1p(-COLLAPSE) - 0.5 * share * math.log(unit / (2.0 * math.pi))
    prior = -0.5 * np.log(runs)
    prior[:, 1] += lost
    prior[counts < 2, 1] = -np.inf
    return _Ways(runs.astype(np.float64), means, squares, (runs - 1) * share[:, None], prior)


def _weigh(ways: _Ways, unit: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The nodes (h, tau) with their weights, and ``[arms, 2]`` the probability of each way."""
    half = 0.5 * (_LIKE + ways.df[:, :, None])
    constant = _log_gamma(half) + ways.prior[:, :, None]
    common = 0.5 * _LIKE * np.log(0.5 * _LIKE) - _log_gamma(0.5 * _LIKE)
    times = len(_LEVELS)
    like, level = np.repeat(_LIKE, times), unit * np.tile(_LEVELS, len(_LIKE))
    logs = np.log(0.5 * (like * level + ways.squares[:, :, None]))
    logs *= -np.repeat(half, times, axis=2)
    logs += np.repeat(constant, times, axis=2)
    peak = logs.max(axis=1, keepdims=True)
    each = np.exp(logs - peak)
    total = each.sum(axis=1)
    node = (peak[:, 0] + np.log(total)).sum(axis=0)
    node += len(total) * (0.5 * like * np.log(level) + np.repeat(common, times))
    weights = np.exp(node - node.max())
    some = weights > _RARE_NODE
    weights = weights[some] / weights[some].sum()
    shares = (each[:, :, some] / total[:, None, some]) @ weights
    return like[some], level[some], weights, shares


def _log_gamma(values: FloatArray) -> FloatArray:
    """Of few different values: loading scipy takes longer than all else."""
    different, place = np.unique(values, return_inverse=True)
    return np.array([math.lgamma(value) for value in different.tolist()])[place].reshape(values.shape)
