"""Draws of arm effects from the hierarchical posterior with a heavy-tailed prior ("HBC").

Effects of the arms, none among them, come from ``.7 N(m, t^2) + .3 N(m, (4t)^2)``: most arms are
shrunk towards each other, those that stand out are not. m and t are integrated over a grid (empirical
grid of Gelman et al., "Bayesian Data Analysis", ch. 5); the variances of runs are drawn from scaled
inverse chi-squares, so the tails are Student's.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np

from raystilts.ranking.intervals import BoolArray, FloatArray, IntArray
from raystilts.ranking.noise import Readings

WIDE_SHARE = 0.3  # prior share of the wide component
WIDE_FACTOR = 4.0  # its scale, in units of t
_MEANS, _SCALES = 33, 24
_UNIT_MEANS = 2.2 * np.linspace(-1.0, 1.0, _MEANS)
_CELL = (_UNIT_MEANS[1] - _UNIT_MEANS[0]) ** 2 / 12.0  # variance of a uniform on a cell of that grid
_UNIT_SCALES = 3.0 * np.linspace(0.0, 1.0, _SCALES) ** 1.5
_UNIT_STEPS = np.gradient(_UNIT_SCALES)
_TINY = np.finfo(np.float64).tiny  # keeps 0 / 0 of an exact arm at t = 0 from warning
_POOL = 64  # rows of random numbers, made once a process
_LEAST_ROOT = 0.3  # of a chi-square's cube root over its mean's: P < 1e-3 at 3 degrees of freedom
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
    readings: Readings, exact: FloatArray, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Joint posterior draws of exchangeable arms.

    Args:
        readings: Of the arms with noise, in the order in which they are drawn.
        exact: Scores of arms without noise: they take part in the prior, and are not drawn.
        draws: Number of draws.
        rng: Source of randomness.

    Returns:
        ``[arms, draws]`` each, the arms in the order of `readings`: their scores, in the order of m and t, and the
        variance of one of their runs. ``[arms]``: the share of draws in which one of its runs has collapsed.
    """
    first = readings.first
    arms = len(first)
    means, scales, weights, parts = _prior_grid(readings, exact)
    normals, uniforms = noise(rng, 2 * arms, draws)
    node = _systematic(weights, draws, rng)
    own = rng.permutation(_systematic(readings.weights, draws, rng))
    like, scale = readings.like[own], readings.like[own] * readings.level[own]
    centre, narrow = means[node], scales[node] ** 2 + _TINY
    more = (WIDE_FACTOR**2 - 1.0) * narrow
    result, variance = (np.empty((arms, draws)) for _ in range(2))
    lost = np.zeros(arms)
    for rows in (slice(0, readings.single), slice(readings.single, arms)):
        if rows.start == rows.stop:
            continue
        reading, is_wide = _components(parts, first, rows, node, uniforms)
        lost[rows] = (readings.lost[reading] >= 0).mean(axis=1)
        sampling = _variances(readings, reading, like, scale, normals[arms + rows.start : arms + rows.stop])
        variance[rows] = sampling
        sampling /= readings.runs[reading]
        if readings.items is not None:
            sampling += readings.items[reading]
        keep = is_wide * more  # a choice by `where` takes several times as long
        keep += narrow
        keep /= keep + sampling
        drawn = np.subtract(readings.effects[reading], centre, out=result[rows])
        drawn *= keep
        drawn += centre
        keep *= sampling
        np.sqrt(keep, out=keep)
        keep *= normals[rows]
        drawn += keep
    return result, variance, lost


def _variances(
    readings: Readings, reading: IntArray, like: FloatArray, scale: FloatArray, normals: FloatArray
) -> FloatArray:
    """``[arms, draws]`` draws of the variance of a run: inverse chi-square, by the cube of a normal.

    E. B. Wilson and M. M. Hilferty, "The distribution of chi-square", PNAS 17 (1931): quantiles from 5 % to 95 % are
    right to 8 % at 3 degrees of freedom and to 2 % at 6, much faster than by a generator of gamma numbers.
    """
    df = readings.df[reading]
    if (df == df[0, 0]).all():
        df = df[:1, :1]  # the roots and quotients are taken once for all arms
    df = df + like
    small = 2.0 / (9.0 * df)
    root = np.sqrt(small) * normals
    root -= small - 1.0
    np.maximum(root, _LEAST_ROOT, out=root)
    cube = root * root
    cube *= root
    cube *= df
    return np.divide(scale + readings.squares[reading], cube, out=cube)


def _components(
    parts: FloatArray, first: IntArray, rows: slice, node: IntArray, uniforms: FloatArray
) -> tuple[IntArray, BoolArray]:
    """The reading of some arms in each draw, and whether it comes from the wide part of the prior.

    Args:
        parts: ``[readings, 2, nodes]``, densities by reading and part (wide, narrow).
        first: ``[arms]``, first reading of each arm.
        rows: Arms that are asked for: the first, all with one reading, or the others, all with two.
        node: ``[draws]``, node of the prior in each draw.
        uniforms: ``[arms, draws]``, uniform random numbers.

    Returns:
        ``[rows, 1 or draws]`` and ``[rows, draws]``.
    """
    start = first[rows]
    if rows.start == 0:
        wide = parts[start, 0] / (parts[start, 0] + parts[start, 1])
        return start[:, None], uniforms[rows] < wide.take(node, axis=1)
    ways = np.cumsum(parts[start[0] :].reshape(len(start), 4, -1), axis=1)  # two readings, wide and narrow
    edges = (ways[:, :3] / ways[:, 3:]).take(node, axis=2)
    way = np.add.reduce(uniforms[rows, None] >= edges, axis=1, dtype=np.int8)
    return start[:, None] + (way > 1), (way == 0) | (way == 2)


def _systematic(weights: FloatArray, draws: int, rng: np.random.Generator) -> IntArray:
    """``[draws]``, the node of each draw, ascending: a node gets its share of the draws, up to one.

    Systematic resampling (Kitagawa, JCGS 5, 1996) from one random start.
    """
    edges = np.cumsum(weights)
    reached = np.floor(edges * (draws / edges[-1]) + rng.random())
    reached[-1] = draws
    times = np.diff(np.minimum(reached, draws), prepend=0.0).astype(np.int64)
    return np.repeat(np.arange(len(weights)), times)


def _prior_grid(
    readings: Readings, exact: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Grid over (m, t), flattened: m, t, posterior weight, and ``[readings, 2, nodes]`` densities, wide and narrow."""
    first = readings.first
    effects = np.concatenate([readings.effects[first], exact])
    sampling = readings.variances / readings.runs
    if readings.items is not None:
        sampling += readings.items
    spread = float(effects.std(ddof=1)) if len(effects) > 1 else 0.0
    unit = max(spread, float(sampling[first].mean()) ** 0.5)
    # numpy's own median loads masked arrays, which takes longer than all medians of an answer
    means = median(effects.tolist()) + unit * _UNIT_MEANS
    scales = unit * _UNIT_SCALES
    every = np.concatenate([readings.effects, exact])
    # A score of less noise than the grid of m is wide would be a point mass where it meets a node: at t = 0 that node
    # would outweigh all others. So it counts as the mean over the node's cell does.
    variances = np.maximum(np.concatenate([sampling, np.zeros(len(exact))]), _CELL * unit**2)[:, None]
    shares = np.concatenate([readings.shares, np.ones(len(exact))])
    squares = (((every[:, None] - means) / unit) ** 2)[:, :, None]
    nodes = _MEANS * _SCALES
    parts = np.empty((len(every), 2, nodes))
    for place, (factor, share) in enumerate(((WIDE_FACTOR, WIDE_SHARE), (1.0, 1.0 - WIDE_SHARE))):
        density = _densities(squares, ((factor * scales) ** 2 + variances) / unit**2, share * shares)
        # a density of 0 only rules its node out: m near an arm and a wide t are on the grid
        parts[:, place] = density.reshape(len(every), nodes)
    parts += _TINY
    starts = np.concatenate([first, np.arange(len(readings.arm), len(every))])
    arms = np.add.reduceat(parts.sum(axis=1), starts, axis=0)
    product = np.multiply.reduceat(arms, np.arange(0, len(arms), _CHUNK), axis=0)
    log_weight = np.log(product + _TINY).sum(axis=0)
    weights = np.exp(log_weight - log_weight.max()) * np.tile(_UNIT_STEPS, _MEANS)
    return np.repeat(means, _SCALES), np.tile(scales, _MEANS), weights, parts[: len(readings.arm)]


def _densities(squares: FloatArray, variances: FloatArray, shares: FloatArray) -> FloatArray:
    """``[arms, means, scales]`` normal densities up to a constant, times `shares`.

    Args:
        squares: ``[arms, means, 1]`` squared distances.
        variances: ``[arms, scales]``.
        shares: ``[arms]``.
    """
    result = squares * (-0.5 / variances)[:, None, :]
    np.exp(result, out=result)
    result *= (shares[:, None] / np.sqrt(variances))[:, None, :]
    return np.asarray(result)
