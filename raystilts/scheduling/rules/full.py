"""No early stopping: every run goes to the end."""

from __future__ import annotations

from collections.abc import Iterable

from raystilts.scheduling.rules.base import Reports, Run, Verdict


class FullRule:
    """Every run to the end, whatever it scores.

    Args:
        runs: The runs of the stratum.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self._reports = Reports(runs, (1.0,))

    def wanted(self) -> dict[Run, float]:
        """All runs that have not ended."""
        runs = (run for arm in self._reports.arms.values() for run in arm)
        return {run: 1.0 for run in runs if not self._reports.ended(run)}

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Notes that a run has ended; decides nothing."""
        self._reports.add(run, share, score)
        return []

    def stopped(self) -> dict[Run, float]:
        """No run is ever stopped."""
        return {}
