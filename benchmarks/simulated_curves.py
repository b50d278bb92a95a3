"""Simulated learning curves of transfer grids, whose true best arms are known.

A grid has 9 targets, each with `none` and 12 intermediates. Effect sizes lie in the range of published ones; they are
assumptions, not fits. Per target (stratum):

- gains over none: normal (even targets) or heavy-tailed (t, 3 degrees of freedom; odd ones), mean .3 and standard
  deviation 1 times a spread that is log-uniform in .8 to 4.5 points;
- noise between seeds log-uniform in .4 to 4 points, plus a shift common to all arms of a seed;
- curves cross: on the way, an arm's standing is a Gauss-Markov process whose rank correlation with its final standing
  is that of `CROSSING`; a seed's luck at share r has correlation r ** `luck` with its luck at the end;
- 0 to 10 % of the runs fail, at a random moment, and are seen to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.schedules.base import BASELINE
from raystilts.testing.replay import Curves

FloatArray = npt.NDArray[np.float64]
TARGETS = 9
ARMS = (BASELINE, *(f"i{number:02d}" for number in range(1, 13)))
SEEDS = 8
SHARES = (1 / 9, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0)
#: Spearman correlation of the arms' true standing at shares 1/9, 1/3 and 1/2 with that at the end, over many arms
#: (among 13 it is a few hundredths lower).
CROSSING = {"strong": (0.35, 0.70, 0.85), "mild": (0.64, 0.89, 0.93)}


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """One target of a simulated grid.

    Attributes:
        truth: ``[arms]``, true final scores.
        sigma: Noise between seeds.
        curves: What a study would record.
    """

    truth: FloatArray
    sigma: float
    curves: Curves


def grids(number: int, crossing: str, luck: float = 0.5, seed: int = 0) -> Iterator[dict[str, Stratum]]:
    """Grids with fixed random numbers, targets by name."""
    for index in range(number):
        rng = np.random.default_rng((seed, index, sorted(CROSSING).index(crossing)))
        yield {f"t{target}": stratum(rng, crossing, luck, heavy=target % 2 == 1) for target in range(TARGETS)}


def stratum(rng: np.random.Generator, crossing: str, luck: float, *, heavy: bool) -> Stratum:
    """One target."""
    spread, sigma = np.exp(rng.uniform(np.log([0.8, 0.4]), np.log([4.5, 4.0])))
    gains = rng.standard_t(3, len(ARMS)) / 3**0.5 if heavy else rng.standard_normal(len(ARMS))
    gains = spread * (0.3 + gains)
    gains[0] = 0.0
    correlations = pearson(crossing)
    standing = backwards(gains - gains.mean(), spread, correlations, rng)
    fading = np.power(SHARES, luck)
    shared = sigma * rng.uniform() ** 0.5
    shift = backwards(shared * rng.standard_normal((1, SEEDS)), shared, fading, rng)
    noise = backwards(sigma * rng.standard_normal((len(ARMS), SEEDS)), sigma, fading, rng)
    level = rng.uniform(40.0, 90.0) + rng.uniform(1.0, 5.0) * np.log2(SHARES)
    scores = level + gains.mean() + standing[:, None, :] + shift + noise
    fails = rng.random((len(ARMS), SEEDS)) < rng.uniform(0.0, 0.1)
    moment = rng.random((len(ARMS), SEEDS))
    scores[fails[:, :, None] & (np.array(SHARES) >= moment[:, :, None])] = np.nan
    truth = level[-1] + gains
    return Stratum(truth, float(sigma), Curves.from_array(ARMS, SHARES, scores))


def backwards(final: FloatArray, spread: float, correlations: FloatArray, rng: np.random.Generator) -> FloatArray:
    """``[..., shares]``: a Gauss-Markov process that ends in `final` and has these correlations with it."""
    values = [final]
    for later, earlier in zip(correlations[:0:-1], correlations[-2::-1], strict=True):
        step = earlier / later
        values.append(step * values[-1] + spread * (1 - step**2) ** 0.5 * rng.standard_normal(final.shape))
    return np.stack(values[::-1], axis=-1)


def pearson(crossing: str) -> FloatArray:
    """Correlations with the end at each of SHARES, from the rank correlations at three of them."""
    known = 2 * np.sin(np.pi * np.array([*CROSSING[crossing], 1.0]) / 6)
    return np.asarray(np.interp(np.log(SHARES), np.log([1 / 9, 1 / 3, 1 / 2, 1.0]), known))
