"""Draws of arm effects from the hierarchical posterior with a heavy-tailed prior ("HBC").

Effects of the arms other than none come from ``.9 N(m, t^2) + .1 N(m, (4t)^2)``: most arms are
shrunk towards each other, a lone good arm is not. m and t are integrated over a grid (empirical
grid of Gelman et al., "Bayesian Data Analysis", ch. 5); none has a flat prior; the residual
variance is drawn from its scaled inverse chi-square, so the tails are Student's.
"""

from __future__ import annotations

import hashlib

import numpy as np

from raystilts.ranking.intervals import FloatArray

WIDE_SHARE = 0.1  # prior share of the wide component
WIDE_FACTOR = 4.0  # its scale, in units of t
_MEANS, _SCALES = 33, 24
_UNIT_MEANS = 2.2 * np.linspace(-1.0, 1.0, _MEANS)
_UNIT_SCALES = 3.0 * np.linspace(0.0, 1.0, _SCALES) ** 1.5
_UNIT_STEPS = np.gradient(_UNIT_SCALES)
_TINY = np.finfo(np.float64).tiny  # keeps 0 / 0 of an exact arm at t = 0 from warning
_LOG_NARROW, _LOG_WIDE = np.log(1.0 - WIDE_SHARE), np.log(WIDE_SHARE)


def generator(*parts: object) -> np.random.Generator:
    """A generator fixed by `parts`, equal on every machine and in every run (through sha256)."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


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
        ``[arms, draws]``. An arm with variance 0 has its score in every draw.
    """
    draws = len(factors)
    noisy = variances > 0.0
    if not noisy.any():
        return np.repeat(effects[:, None], draws, axis=1)
    means, scales, weights, wide = _prior_grid(effects, variances)
    node = np.searchsorted(np.cumsum(weights), rng.random(draws) * weights.sum())
    node = np.minimum(node, len(weights) - 1)
    shape = (len(effects), draws)
    is_wide = rng.random(shape) < wide.take(node, axis=1)
    narrow = scales[node] ** 2
    spread = np.where(is_wide, WIDE_FACTOR**2 * narrow, narrow)
    sampling = variances[:, None] * factors
    keep = spread / (spread + sampling + _TINY)
    centre = means[node]
    result = centre + keep * (effects[:, None] - centre)
    result += np.sqrt(keep * sampling) * rng.standard_normal(shape)
    result[~noisy] = effects[~noisy, None]
    return np.asarray(result)


def _prior_grid(
    effects: FloatArray, variances: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Grid over (m, t), flattened: m, t, posterior weight, and P(wide) of ``[arms, nodes]``."""
    spread = float(effects.std(ddof=1)) if len(effects) > 1 else 0.0
    unit = max(spread, float(variances.mean()) ** 0.5)
    means = float(np.median(effects)) + unit * _UNIT_MEANS
    scales = unit * _UNIT_SCALES
    # exact scores would be a point mass at t = 0: a millionth of the unit keeps it finite
    sampling = np.maximum(variances, (1e-6 * unit) ** 2)[:, None]
    narrow_var = scales**2 + sampling
    wide_var = (WIDE_FACTOR * scales) ** 2 + sampling
    squares = ((effects[:, None] - means) ** 2)[:, :, None]
    narrow = _LOG_NARROW - 0.5 * (squares / narrow_var[:, None] + np.log(narrow_var)[:, None])
    wide = _LOG_WIDE - 0.5 * (squares / wide_var[:, None] + np.log(wide_var)[:, None])
    top = np.maximum(narrow, wide)
    bottom = np.exp(np.minimum(narrow, wide) - top)
    log_weight = (top + np.log1p(bottom)).sum(axis=0)
    share = 1.0 / (1.0 + bottom)
    is_wide = np.where(wide >= narrow, share, 1.0 - share)
    weights = _UNIT_STEPS * np.exp(log_weight - log_weight.max())
    nodes = _MEANS * _SCALES
    return (
        np.repeat(means, _SCALES),
        np.tile(scales, _MEANS),
        weights.ravel(),
        is_wide.reshape(len(effects), nodes),
    )
