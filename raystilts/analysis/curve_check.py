"""Whether a power law may be shown for a curve at all, and why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raystilts.analysis.monotone import monotonicity_p
from raystilts.analysis.power_law import PowerLaw, SizeMeans, fit_power_law

#: Fewer sizes do not identify three parameters: with three, alpha was on a bound in every simulated fit.
LEAST_SIZES = 5
#: Level of the tests that a curve must pass.
LEVEL = 0.05
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
    if monotone is not None and monotone < LEVEL:
        return f"not monotone (p = {monotone:.3f})"
    if law.lack_of_fit_p is not None and law.lack_of_fit_p < LEVEL:
        return f"no power law (lack of fit p = {law.lack_of_fit_p:.3f})"
    return UNIDENTIFIED if law.at_bound or law.unbounded else None
