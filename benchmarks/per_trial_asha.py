"""Early stopping of single trials, as Ray Tune's ASHA does it: what transfer grids should not use.

The rule of `AsyncHyperBandScheduler` in Ray 2.60, written again so that it can be replayed. What it decides depends on
the order in which trials report.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence

from raystilts.schedules.base import Run, Verdict


class RayRungs:
    """Ray Tune's ASHA stopping rule: rungs, and the scores recorded at them so far.

    A trial that reports below the (1 - 1/factor) quantile of the scores recorded before it is stopped; the first is
    not, and NaN never is.
    """

    def __init__(self, rungs: tuple[float, ...], factor: float) -> None:
        self.factor = factor
        self.recorded: dict[float, list[float]] = {rung: [] for rung in rungs}

    def stops(self, rung: float, score: float) -> bool:
        """Records a score; returns whether its trial is stopped."""
        before = self.recorded[rung]
        stops = bool(before) and score < quantile(before, 1 - 1 / self.factor)
        bisect.insort(before, score)
        return stops


class PerTrialAsha:
    """The trials of one stratum under `RayRungs`, which other strata may share; `none` is a trial like any other."""

    def __init__(self, runs: Iterable[Run], rungs: RayRungs) -> None:
        self.rungs = rungs
        self.next = dict.fromkeys(runs, min(rungs.recorded))
        self.ended: dict[Run, float] = {}

    def wanted(self) -> dict[Run, float]:
        """Trials that were not stopped."""
        return self.next

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Stops the trial, or sends it on."""
        del self.next[run]
        if share == 1.0 or score is None or math.isnan(score):
            return []
        if self.rungs.stops(share, score):
            self.ended[run] = share
        else:
            self.next[run] = min((rung for rung in self.rungs.recorded if rung > share), default=1.0)
        return []

    def stopped(self) -> dict[Run, float]:
        """Trials that were."""
        return self.ended


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between the two nearest of rising values, as numpy does it."""
    place = share * (len(ordered) - 1)
    lower = math.floor(place)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower])
