"""At which size does a curve reach a value? Curves are straight between the measured sizes in log size."""

from __future__ import annotations

import numpy as np

from raystilts.analysis.monotone import isotonic
from raystilts.ranking.intervals import FloatArray


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
