"""What a fitted curve is worth: how far it misses the largest sizes when it has not seen them.

In-sample fit says little of extrapolation (Alabdulmohsin et al. 2022), so the largest sizes are held out and the curve
must beat the simplest rule there is: the score will stay what it was at the last size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raystilts.analysis.power_law import SizeMeans, fit_power_law

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
