"""The difference between two columns of runs that are paired, such as two encoders with the same arms and seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raystilts.ranking.contrasts import Difference
from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.posterior import NO_REPEATS


def paired_difference(gaps: FloatArray, pool: Sequence[FloatArray], *, exact: bool = False) -> Difference:
    """The mean of paired differences, with a 95 % t interval whose variance is pooled over like ones.

    Each arm's differences vary around their own mean with one variance, estimated from all arms (one-way analysis of
    variance; Fisher 1925, ch. 7); with one arm it is the paired t test (Student 1908).

    Args:
        gaps: The differences of the arm in question, one a pair; nan where a run is missing.
        pool: The differences of every arm, likewise, that of the arm in question among them.
        exact: Whether the differences depend on no seed.
    """
    found = gaps[~np.isnan(gaps)]
    if not found.size:
        return Difference(None, None, None, "a run of one of them is missing")
    mean = float(found.mean())
    if exact:
        return Difference(mean, mean, mean, None)
    groups = [one[~np.isnan(one)] for one in pool]
    freedom = sum(max(0, one.size - 1) for one in groups)
    if freedom == 0:
        return Difference(mean, None, None, NO_REPEATS)
    from scipy.stats import t as student  # here: loading it is slow

    variance = sum(float(((one - one.mean()) ** 2).sum()) for one in groups if one.size) / freedom
    half = float(student.ppf(0.975, freedom)) * float(np.sqrt(variance / found.size))
    return Difference(mean, mean - half, mean + half, None)
