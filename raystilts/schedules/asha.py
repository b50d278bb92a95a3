"""Successive halving whose unit is an arm's mean over its seeds, inside one stratum.

Rungs and promotion are those of asynchronous successive halving (Li et al., "A System for Massively Parallel
Hyperparameter Tuning", MLSys 2020), but the outcome is that of synchronous halving (Jamieson and Talwalkar, AISTATS
2016): of the n arms that enter a rung, the best ceil(n / factor) go on, whoever came first. What is asynchronous is the
moment: an arm goes on, or stops, as soon as no score that is still missing could change its fate.

`TrialAsha` does the same for the trials of a hyperparameter search, promoted as in Li et al., algorithm 2: a trial
rests at its rung until it is among the best 1 / factor of the trials recorded there. A search proposes trials one after
the other and learns from those before, so here the order of arrival matters, unlike in `AshaRule`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from raystilts.schedules.base import BASELINE, Reports, Run, StratumSettings, Verdict, best_first

#: Rungs of a run: at each its dev data is scored, and half of the arms of a million are one after 20.
MOST_RUNGS = 50
_SAME_RUNG = 0.01  # a rung this close to max_t is max_t
_ROUNDING = 1e-9  # 6 / 2.0000000001 is three places, not four


class Asha(StratumSettings):
    """Successive halving over arms: the arms that are behind at a rung stop there.

    Attributes:
        grace_period: Share of a run's updates at the first rung; nothing is stopped before.
        reduction_factor: Of n arms at a rung, ceil(n / reduction_factor) go on; also the distance between rungs.
        max_t: Share from which on nothing is stopped any more.
        finish_stopped: Run stopped cells to the end too, on devices that would idle.
    """

    name: ClassVar[str] = "asha"
    example: ClassVar[str] = "grace_period: 0.5, ..."
    hints: ClassVar[Mapping[str, str]] = {
        "grace_period": "it is a share of a run's updates, such as 0.5",
        "max_t": "it is a share of a run's updates, 1 for all",
    }

    grace_period: Annotated[float, Field(gt=0, lt=1)] = 0.5
    reduction_factor: Annotated[float, Field(gt=1, le=1000)] = 2.0
    max_t: Annotated[float, Field(gt=0, le=1)] = 1.0
    finish_stopped: bool = False

    @model_validator(mode="after")
    def _has_a_rung(self) -> Self:
        number = math.log(max(self.max_t / self.grace_period, 1)) / math.log(self.reduction_factor)
        if number > MOST_RUNGS:
            raise ValueError(
                f"grace_period {self.grace_period:g} and reduction_factor {self.reduction_factor:.10g} make more than "
                f"{MOST_RUNGS} rungs; give a reduction_factor such as 2, or a larger grace_period"
            )
        if not self.rungs:
            raise ValueError(
                f"grace_period {self.grace_period:g} must be below max_t {self.max_t:g}: there is no rung to stop at"
            )
        return self

    @property
    def rungs(self) -> tuple[float, ...]:
        """The shares at which arms are compared: grace_period * reduction_factor ** i, below max_t."""
        rungs, rung = [], self.grace_period
        while rung < self.max_t - _SAME_RUNG:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)

    def rule(self, runs: Sequence[Run]) -> AshaRule:
        """See `StratumSettings`."""
        return AshaRule(runs, self.rungs, self.reduction_factor)


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


class TrialAsha:
    """Which trials of one stratum go on, while more may still come.

    Args:
        rungs: Shares of the full budget at which trials rest, rising, each below 1.
        reduction_factor: Of n trials at a rung, floor(n / reduction_factor) are promoted while trials come; when no
            more can come there, ceil(n / reduction_factor), so that some trial reaches the end.
    """

    def __init__(self, rungs: tuple[float, ...], reduction_factor: float) -> None:
        self._shares = (*rungs, 1.0)
        self._factor = reduction_factor
        self._scores: list[dict[str, float]] = [{} for _ in self._shares]
        self._promoted: list[set[str]] = [set() for _ in self._shares]
        self._trials: dict[str, int] = {}  # trial -> index of the share that it may go to or rests at
        self._closed = False

    def start(self, trial: str) -> None:
        """Adds a trial of the search.

        Raises:
            ValueError: It has started before, or no more trials were to come.
        """
        if self._closed or trial in self._trials:
            raise ValueError(f"trial {trial!r} cannot start: {'the search is closed' if self._closed else 'it has'}")
        self._trials[trial] = 0

    def report(self, trial: str, share: float, score: float | None) -> list[str]:
        """Takes the score of a trial where it was to rest; None or NaN: it has failed, and is last.

        Returns:
            Trials that may go on now.

        Raises:
            ValueError: The trial was not to report at this share.
        """
        level = self._trials.get(trial)
        if level is None or not math.isclose(self._shares[level], share, abs_tol=1e-6):
            raise ValueError(f"no report of trial {trial!r} at share {share:g} was awaited")
        self._scores[level].setdefault(trial, math.nan if score is None else float(score))
        return self._promote()

    def close(self) -> list[str]:
        """No more trials will start; returns trials that may go on now."""
        self._closed = True
        return self._promote()

    def wanted(self) -> dict[str, float]:
        """Trials that may run, and to which share; those that have reported there are not listed."""
        return {t: self._shares[level] for t, level in self._trials.items() if t not in self._scores[level]}

    def stopped(self) -> dict[str, float]:
        """Trials that rest and can no longer be promoted, with the share of their rung; failed ones are left out."""
        return {
            trial: self._shares[level]
            for trial, level in self._trials.items()
            if level < len(self._shares) - 1 and self._complete(level) and self._alive(trial, level)
        }

    def _alive(self, trial: str, level: int) -> bool:
        return not math.isnan(self._scores[level].get(trial, math.nan))

    def _complete(self, level: int) -> bool:
        """Whether no trial can come to a rung any more."""
        below = all(self._complete(lower) for lower in range(level))
        arrived = all(t in self._scores[level] for t, at in self._trials.items() if at == level)
        return self._closed and below and arrived

    def _promote(self) -> list[str]:
        """Moves trials up, from the lowest rung, until none can be moved."""
        moved = []
        for level, scores in enumerate(self._scores[:-1]):
            share = len(scores) / self._factor
            places = math.ceil(share - 1e-9) if self._complete(level) else math.floor(share + 1e-9)
            alive = [trial for trial in scores if self._alive(trial, level)]
            best = sorted(alive, key=lambda trial: (-scores[trial], trial))[:places]
            for trial in best:
                if trial not in self._promoted[level]:
                    self._promoted[level].add(trial)
                    self._trials[trial] = level + 1
                    moved.append(trial)
        return moved
