"""Successive halving whose unit is an arm's mean over its seeds, inside one stratum.

Rungs and promotion are those of asynchronous successive halving (Li et al., "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020), but the outcome is that of synchronous halving (Jamieson and Talwalkar, AISTATS
2016): of the n arms that enter a rung, the best ceil(n / factor) go on, whoever came first. What is asynchronous is the
moment: an arm goes on, or stops, as soon as no score that is still missing could change its fate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from raystilts.scheduling.rules.base import BASELINE, Reports, Run, Verdict, best_first

_ROUNDING = 1e-9  # 6 / 2.0000000001 is three places, not four


@dataclass(frozen=True, slots=True)
class _Rung:
    """What is certain at one rung, from the reports so far."""

    share: float
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    scores: dict[str, float]
    closed: bool


class AshaRule:
    """Keeps the best arms at each rung; see `StratumRule` for the methods.

    An arm enters a rung when all its seeds have reached it or failed. Its score is the mean of its seeds that have not
    failed; an arm whose seeds have all failed is last and never kept. Equal means are ordered by the arm's name. All
    seeds of a kept arm go on, all seeds of a dropped one stop. The baseline runs to the end and takes no place. An arm
    whose runs are all beyond a rung and have no score there (they were trained before, without rungs) passes it and
    takes no place. A rung at which every arm would be kept is passed without a decision.

    A verdict is given once a rung, when its last arm is decided: what was decided early is part of it, so that the
    record does not depend on the order of arrival either.

    Args:
        runs: The runs of the stratum.
        rungs: Shares of the full budget at which arms are compared, rising, each below 1.
        reduction_factor: Of n arms, ceil(n / reduction_factor) are kept.
    """

    def __init__(self, runs: Iterable[Run], rungs: tuple[float, ...], reduction_factor: float) -> None:
        self._reports = Reports(runs, (*rungs, 1.0))
        self._rungs = rungs
        self._factor = reduction_factor
        self._ladder = self._judge()
        self._open = {arm: self._open_to(arm) for arm in self._reports.arms}
        self._wanted = {run: share for arm in self._open for run, share in self._unsettled(arm)}

    def wanted(self) -> dict[Run, float]:
        """Runs whose next rung, or the end, is open to them."""
        return dict(self._wanted)

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Takes a score; returns the verdict of each rung that it closes."""
        if not self._reports.add(run, share, score):
            return []
        at = self._open[run.arm]
        if at is not None and self._reports.settled(run, at):
            self._wanted.pop(run, None)
        if at is None or at == 1.0 or not self._settled(run.arm, at):
            return []  # a rung changes only when an arm arrives at it
        closed_before = sum(rung.closed for rung in self._ladder)
        self._ladder = self._judge()
        self._reopen()
        return [
            Verdict("asha", number, rung.share, rung.kept, rung.dropped, rung.scores)
            for number, rung in enumerate(self._ladder, start=1)
            if rung.closed and number > closed_before and rung.scores
        ]

    def stopped(self) -> dict[Run, float]:
        """The runs of dropped arms that have neither failed nor reached the end."""
        return {
            run: rung.share
            for rung in self._ladder
            for arm in rung.dropped
            for run in self._reports.arms[arm]
            if not self._reports.ended(run)
        }

    def _open_to(self, arm: str) -> float | None:
        """How far the arm's runs may go; None for a dropped arm."""
        if arm != BASELINE:
            for rung in self._ladder:
                if arm in rung.dropped:
                    return None
                if arm not in rung.kept:
                    return rung.share
        return 1.0

    def _unsettled(self, arm: str) -> list[tuple[Run, float]]:
        """The arm's runs that have not come as far as they may, with how far that is."""
        share = self._open[arm]
        if share is None:
            return []
        return [(run, share) for run in self._reports.arms[arm] if not self._reports.settled(run, share)]

    def _reopen(self) -> None:
        """Lets the runs of arms on which was decided go on, or takes them back."""
        for arm, before in self._open.items():
            now = self._open_to(arm)
            if now != before:
                self._open[arm] = now
                self._wanted.update(self._unsettled(arm))

    def _judge(self) -> list[_Rung]:
        """All rungs from the first, from nothing but the set of reports."""
        ladder: list[_Rung] = []
        entered = [arm for arm in self._reports.arms if arm != BASELINE]
        possible, closed = list(entered), True
        for share in self._rungs:
            rung = self._judge_rung(share, entered, possible, closed)
            ladder.append(rung)
            entered = list(rung.kept)
            possible = [arm for arm in possible if arm not in rung.dropped]
            closed = rung.closed
        return ladder

    def _judge_rung(self, share: float, entered: list[str], possible: list[str], last: bool) -> _Rung:
        """One rung.

        Args:
            share: Where it is.
            entered: Arms that are certain to enter it.
            possible: Arms that may still enter it, among them the certain ones.
            last: Whether no other arm can enter.
        """
        passing = [arm for arm in entered if self._passes(arm, share)]
        # If fewer arms enter in the end, a kept arm stays kept and a dropped one dropped: with one arm less, there is
        # at most one place less, and the arm that is missing was counted as neither better nor worse.
        number = len(possible) - len(passing)
        places = math.ceil(number / self._factor - _ROUNDING)
        arrived = [arm for arm in entered if arm not in passing and self._settled(arm, share)]
        scores = {arm: self._reports.mean(arm, share) for arm in arrived}
        alive, failed = best_first(scores)
        if places >= number:
            kept = [arm for arm in entered if arm not in failed]
            return _Rung(share, tuple(kept), tuple(failed), {}, last)
        kept = [arm for place, arm in enumerate(alive, start=1) if len(arrived) - place >= number - places]
        dropped = alive[places:] + failed
        closed = last and len(arrived) == number
        return _Rung(share, (*kept, *passing), tuple(dropped), dict(sorted(scores.items())), closed)

    def _settled(self, arm: str, share: float) -> bool:
        return all(self._reports.settled(run, share) for run in self._reports.arms[arm])

    def _passes(self, arm: str, share: float) -> bool:
        """Whether the arm's runs are beyond the rung and none has a score there."""
        runs = [run for run in self._reports.arms[arm] if not self._reports.failed(run)]
        return bool(runs) and self._settled(arm, share) and math.isnan(self._reports.mean(arm, share))
