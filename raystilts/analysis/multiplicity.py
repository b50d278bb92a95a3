"""Many tests at once: p-values that stay honest for a whole family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Holm's step-down adjusted p-values (Scandinavian Journal of Statistics 6, 1979).

    Under any dependence, the probability of a single false rejection at an adjusted p of .05 is at most .05.

    Args:
        p_values: One a test; nan for a test that could not be made, which is no member of the family.

    Returns:
        Adjusted p-values in the order given, nan where nan was given.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
