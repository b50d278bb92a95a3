"""Gains with the t intervals of a textbook, one arm at a time: what contrasts and posteriors are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from raystilts.ranking.intervals import Decomposition, Mask, decompose, gain_variance


@dataclass(frozen=True, slots=True)
class GainInterval:
    """Gain of one arm over none, with the t interval of the pooled residual variance.

    Attributes:
        arm: Row of the score table.
        runs: Finished runs of the arm.
        gain: Arm minus none, adjusted for seeds, in the unit of the scores; None if unavailable.
        low: Lower bound, None when there is no interval.
        high: Upper bound, None when there is no interval.
        note: Why something is missing, else None.
    """

    arm: int
    runs: int
    gain: float | None
    low: float | None
    high: float | None
    note: str | None


def gain_intervals(
    scores: npt.ArrayLike, *, deterministic: Mask | None = None
) -> list[GainInterval]:
    """Gain over none of every arm, each with its own two-sided 95 % t interval (not simultaneous).

    Args:
        scores: ``[arms, seeds]``, as for `decompose`.
        deterministic: As for `decompose`.
    """
    fit = decompose(scores, deterministic=deterministic)
    return [_gain_interval(fit, arm) for arm in range(len(fit.effects))]


def _gain_interval(fit: Decomposition, arm: int) -> GainInterval:
    runs = int(fit.counts[arm])
    if runs == 0:
        return GainInterval(arm, 0, None, None, None, "no finished run")
    if fit.counts[0] == 0:
        return GainInterval(arm, runs, None, None, None, "gain unavailable: none has no run")
    gain = float(fit.effects[arm] - fit.effects[0])
    exact = arm == 0 or (fit.deterministic[arm] and fit.deterministic[0])
    if not exact and fit.df <= 0:
        note = "no interval: no repeated seeds, so the seed variance is unknown"
        return GainInterval(arm, runs, gain, None, None, note)
    variance, df = (0.0, np.inf) if exact else gain_variance(fit, arm)
    half = 0.0
    if variance > 0.0:
        half = float(t.ppf(0.975, df)) * variance**0.5
    return GainInterval(arm, runs, gain, gain - half, gain + half, None)
