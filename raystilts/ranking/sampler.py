"""Draws of arm effects from the hierarchical posterior with a heavy-tailed prior ("HBC").

Effects of the arms other than none come from ``.9 N(m, t^2) + .1 N(m, (4t)^2)``: most arms are
shrunk towards each other, a lone good arm is not. m and t are integrated over a grid (empirical
grid of Gelman et al., "Bayesian Data Analysis", ch. 5); none has a flat prior; the residual
variance is drawn from its scaled inverse chi-square, so the tails are Student's.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np

from raystilts.ranking.intervals import BoolArray, FloatArray, IntArray

WIDE_SHARE = 0.1  # prior share of the wide component
WIDE_FACTOR = 4.0  # its scale, in units of t
_MEANS, _SCALES = 33, 24
_UNIT_MEANS = 2.2 * np.linspace(-1.0, 1.0, _MEANS)
_UNIT_SCALES = 3.0 * np.linspace(0.0, 1.0, _SCALES) ** 1.5
_UNIT_STEPS = np.gradient(_UNIT_SCALES)
_TINY = np.finfo(np.float64).tiny  # keeps 0 / 0 of an exact arm at t = 0 from warning
_POOL = 64  # rows of random numbers, made once a process
_CHUNK = 8  # densities multiplied before their logarithm is taken: far from underflow


def generator(*parts: object) -> np.random.Generator:
    """A generator fixed by `parts`, equal on every machine and in every run (through sha256)."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@lru_cache(maxsize=2)
def _pool(rows: int, draws: int) -> tuple[FloatArray, FloatArray]:
    """``[rows, draws]`` normals and uniforms; each row holds evenly spaced quantiles, shuffled.

    Latin hypercube sampling (McKay, Beckman and Conover, Technometrics 21, 1979): means and
    quantiles over the draws are closer to those of the posterior than with plain random numbers.
    """
    # One large block, freed untouched, tells the C library to keep freed memory of that size:
    # asking the system for the draws' pages anew in every stratum takes longer than the draws.
    np.empty(1 << 21)
    rng = generator("pool", rows, draws)
    shares = (np.arange(draws) + 0.5) / draws
    quantiles = np.array([NormalDist().inv_cdf(share) for share in shares])
    shape = (rows, draws)
    return (
        rng.permuted(np.broadcast_to(quantiles, shape), axis=1),
        rng.permuted(np.broadcast_to(shares, shape), axis=1),
    )


def noise(rng: np.random.Generator, rows: int, draws: int) -> tuple[FloatArray, FloatArray]:
    """``[rows, draws]`` standard normals and uniforms, from a place in one pool that `rng` picks.

    Two strata share numbers where their places overlap, which correlates their Monte Carlo errors
    and nothing else. To be read only.
    """
    size = max(_POOL, 1 << (2 * rows - 1).bit_length())
    start = int(rng.integers(0, size - rows + 1))
    normals, uniforms = _pool(size, draws)
    return normals[start : start + rows], uniforms[start : start + rows]


def variance_factors(df: float, draws: int, rng: np.random.Generator) -> FloatArray:
    """``[draws]`` draws of true over estimated variance: ``df / chi2(df)`` (1 if df is inf)."""
    if np.isinf(df):
        return np.ones(draws)
    return df / rng.chisquare(df, draws)


def draw_effects(
    effects: FloatArray,
    variances: FloatArray,
    factors: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Joint posterior draws of exchangeable arms.

    Args:
        effects: ``[arms]``, estimated effects, all finite, none not among them.
        variances: ``[arms]``, their sampling variances; 0 for an exact score.
        factors: ``[draws]``, from `variance_factors`: multiplies `variances` draw by draw.
        rng: Source of randomness.

    Returns:
        ``[arms, draws]``, draws in the order of m and t. An arm with variance 0 has its score in
        every draw.
    """
    draws = len(factors)
    noisy = variances > 0.0
    if not noisy.any():
        return np.repeat(effects[:, None], draws, axis=1)
    means, scales, weights, wide = _prior_grid(effects, variances)
    normals, uniforms = noise(rng, len(effects), draws)
    node = _systematic(weights, draws, rng)
    centre, narrow = means[node], scales[node] ** 2
    is_wide = uniforms < wide.take(node, axis=1)
    keep, error = _shrinkage(variances, factors, narrow, is_wide)
    result = np.subtract(effects[:, None], centre)
    result *= keep
    result += centre
    error *= normals
    result += error
    result[~noisy] = effects[~noisy, None]
    return result


def _shrinkage(
    variances: FloatArray, factors: FloatArray, narrow: FloatArray, is_wide: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """``[arms, draws]`` each: the share of an arm's distance to the centre that is kept, and its standard deviation.

    Arms with equally many runs share their variance: the roots and quotients are taken once for all of them.

    Args:
        narrow: ``[draws]``, variance of the prior's narrow component.
        is_wide: ``[arms, draws]``, which arms come from the wide one.
    """
    different, row_of = np.unique(variances, return_inverse=True)
    rows = row_of if len(different) > 1 else slice(None)
    sampling = different[:, None] * factors
    keeps, errors = [], []
    for spread in (WIDE_FACTOR**2 * narrow, narrow):
        keep = spread / (spread + sampling + _TINY)
        keeps.append(keep[rows])
        errors.append(np.sqrt(sampling * keep)[rows])
    return np.where(is_wide, *keeps), np.where(is_wide, *errors)


def _systematic(weights: FloatArray, draws: int, rng: np.random.Generator) -> IntArray:
    """``[draws]``, the node of each draw, ascending: a node gets its share of the draws, up to one.

    Systematic resampling (Kitagawa, JCGS 5, 1996) from one random start.
    """
    edges = np.cumsum(weights)
    reached = np.floor(edges * (draws / edges[-1]) + rng.random())
    reached[-1] = draws
    times = np.diff(np.minimum(reached, draws), prepend=0.0).astype(np.int64)
    return np.repeat(np.arange(len(weights)), times)


def _prior_grid(effects: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Grid over (m, t), flattened: m, t, posterior weight, and P(wide) of ``[arms, nodes]``."""
    arms = len(effects)
    spread = float(effects.std(ddof=1)) if arms > 1 else 0.0
    unit = max(spread, float(variances.mean()) ** 0.5)
    # numpy's own median loads masked arrays, which takes longer than all medians of an answer
    means = median(effects.tolist()) + unit * _UNIT_MEANS
    scales = unit * _UNIT_SCALES
    # exact scores would be a point mass at t = 0: a millionth of the unit keeps it finite
    sampling = np.maximum(variances, (1e-6 * unit) ** 2)[:, None]
    squares = (((effects[:, None] - means) / unit) ** 2)[:, :, None]
    narrow = _densities(squares, (scales**2 + sampling) / unit**2, 1.0 - WIDE_SHARE)
    wide = _densities(squares, ((WIDE_FACTOR * scales) ** 2 + sampling) / unit**2, WIDE_SHARE)
    narrow += wide
    # a density of 0 only rules its node out: m near an arm and a wide t are on the grid
    narrow += _TINY
    wide /= narrow
    nodes = _MEANS * _SCALES
    parts = np.multiply.reduceat(narrow.reshape(arms, nodes), np.arange(0, arms, _CHUNK), axis=0)
    log_weight = np.log(parts + _TINY).sum(axis=0)
    weights = np.exp(log_weight - log_weight.max()) * np.tile(_UNIT_STEPS, _MEANS)
    return np.repeat(means, _SCALES), np.tile(scales, _MEANS), weights, wide.reshape(arms, nodes)


def _densities(squares: FloatArray, variances: FloatArray, share: float) -> FloatArray:
    """``[arms, means, scales]`` normal densities up to a constant, times `share`.

    Args:
        squares: ``[arms, means, 1]`` squared distances.
        variances: ``[arms, scales]``.
    """
    result = squares * (-0.5 / variances)[:, None, :]
    np.exp(result, out=result)
    result *= (share / np.sqrt(variances))[:, None, :]
    return np.asarray(result)
