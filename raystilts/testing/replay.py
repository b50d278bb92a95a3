"""Replays recorded learning curves through the rules of a schedule: what it would have stopped, chosen and cost.

Nothing is trained: a discrete-event simulation asks the same rule objects that a study asks, so that a schedule is
tried on thousands of grids in minutes (the idea of Salinas et al., "Syne Tune: A Library for Large Scale Hyperparameter
Tuning and Reproducible Research", AutoML-Conf 2022).

    curves = Curves.from_frame(frame)  # columns arm, seed, share, score
    replayed = replay({"xnli": curves}, lambda stratum, runs: AshaRule(runs, (0.5,), 2))
    replayed.compute, replayed.outcomes["xnli"].chosen
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.schedules.base import BASELINE, Run, SharedStratum, StratumRule, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from raystilts.ranking.posterior import Posterior

MakeRule = Callable[[str, Sequence[Run]], StratumRule]
MakeRules = Callable[[Mapping[str, Sequence[Run]]], Mapping[str, StratumRule]]
_COLUMNS = ("arm", "seed", "share", "score")
_SAME_SHARE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The learning curves of one stratum.

    Attributes:
        points: For each run its scores on dev by share of the full budget, shares rising; NaN: the run has failed.
            The order of the runs is that in which a study would start them.
    """

    points: Mapping[Run, tuple[tuple[float, float], ...]]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Curves:
        """Curves from a table with the columns arm, seed, share and score, one row a point.

        Raises:
            UserError: A column is missing, or a share is not in (0, 1].
        """
        missing = [name for name in _COLUMNS if name not in frame.columns]
        if missing:
            raise UserError(f"learning curves need the columns {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
        points: dict[Run, list[tuple[float, float]]] = {}
        for arm, seed, share, score in frame[list(_COLUMNS)].itertuples(index=False):
            if not 0.0 < share <= 1.0:
                raise UserError(f"share {share} of arm {arm!r} must be above 0 and at most 1, the full budget")
            run = Run(str(arm), None if seed is None or seed != seed else int(seed))
            points.setdefault(run, []).append((float(share), float(score)))
        return cls({run: tuple(sorted(found)) for run, found in points.items()})

    @classmethod
    def from_array(cls, arms: Sequence[str], shares: Sequence[float], scores: npt.ArrayLike) -> Curves:
        """Curves from ``scores[arm, seed, share]``; the seeds are 0, 1, ..., NaN: the run has failed."""
        table = np.asarray(scores, dtype=np.float64).tolist()
        return cls(
            {
                Run(arm, seed): tuple(zip(shares, curve, strict=True))
                for arm, curves in zip(arms, table, strict=True)
                for seed, curve in enumerate(curves)
            }
        )

    def only(self, seeds: int) -> Curves:
        """The first so many runs of each arm."""
        taken: dict[str, int] = {}
        points = {}
        for run, curve in self.points.items():
            taken[run.arm] = taken.get(run.arm, 0) + 1
            if taken[run.arm] <= seeds:
                points[run] = curve
        return Curves(points)

    def score(self, run: Run, share: float) -> float:
        """The last score known at a share; NaN for a run that has failed by then.

        Raises:
            UserError: The run has no score at or before the share.
        """
        curve = self.points[run]
        place = bisect.bisect_right(curve, (share + _SAME_SHARE, math.inf))
        if place == 0:
            raise UserError(f"{run} has no score at share {share:g} or before; its first is at {curve[0][0]:g}")
        return math.nan if any(math.isnan(value) for _, value in curve[:place]) else curve[place - 1][1]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a schedule made of one stratum.

    Attributes:
        finished: Final scores of the runs that came to the end.
        failed: Runs that failed on the way.
        stopped: Runs that were ended before, and the share at which.
        verdicts: What was decided.
    """

    stratum: str
    finished: Mapping[Run, float]
    failed: frozenset[Run]
    stopped: Mapping[Run, float]
    verdicts: tuple[Verdict, ...]

    @property
    def chosen(self) -> str | None:
        """The arm that the ranking of the finished runs calls the leader; None without a finished run."""
        arms, answer = self.ranked()
        return None if answer.leader is None else arms[answer.leader]

    def ranked(self) -> tuple[list[str], Posterior]:
        """The arms with a finished run, `none` first, and the ranking of the finished runs."""
        from raystilts.ranking.posterior import rank_arms

        arms = [BASELINE, *sorted({run.arm for run in self.finished} - {BASELINE})]
        seeds = sorted({run.seed for run in self.finished if run.seed is not None})
        columns = {seed: number for number, seed in enumerate(seeds)} | {None: 0}
        table = np.full((len(arms), max(1, len(seeds))), np.nan)
        for run, score in self.finished.items():
            table[arms.index(run.arm), columns[run.seed]] = score
        exact = [any(run.seed is None for run in self.finished if run.arm == arm) for arm in arms]
        return arms, rank_arms(table, deterministic=exact, stream=self.stratum)


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a schedule made of a grid.

    Attributes:
        outcomes: By stratum.
        seconds: Work done on all slots together.
        full_seconds: Work of the full grid, all runs to the end.
        wall_seconds: Time until the last stage ended.
        intermediates: Arm and seed of each intermediate stage that was needed.
    """

    outcomes: Mapping[str, Outcome]
    seconds: float
    full_seconds: float
    wall_seconds: float
    intermediates: frozenset[Run]

    @property
    def compute(self) -> float:
        """The work done as a share of the full grid's."""
        return self.seconds / self.full_seconds


@dataclass(frozen=True, slots=True)
class Jointly:
    """A rule that decides for all strata together, such as `TopTwoRule`.

    Attributes:
        make: Makes what drives each stratum, from the runs of all.
    """

    make: MakeRules


def replay(
    strata: Mapping[str, Curves],
    rule: MakeRule | Jointly,
    *,
    slots: int = 1,
    target_seconds: Callable[[str, Run], float] = lambda stratum, run: 1.0,
    intermediate_seconds: Callable[[Run], float] = lambda run: 0.0,
    shuffle: np.random.Generator | None = None,
) -> Replayed:
    """Runs a grid under a schedule, without training.

    Runs that are further on start first, then those that stand first in the grid. An intermediate stage is done once
    for each arm and seed, when the first stratum wants it; `none` has none.

    Args:
        strata: Learning curves of each stratum.
        rule: Makes the rule of a stratum from its name and runs; `Jointly`: those of all strata.
        slots: Stages that run side by side.
        target_seconds: Work of a run from its start to its end.
        intermediate_seconds: Work of an arm's intermediate stage with a seed.
        shuffle: Draws the order of the grid; None keeps it.

    Raises:
        UserError: A rule wants a score where a curve has none, or there are no slots.
    """
    if slots < 1:
        raise UserError(f"slots is {slots}, but a grid needs at least 1 to run on")
    return _Replay(strata, rule, slots, target_seconds, intermediate_seconds, shuffle).run()


_Job = tuple[str | None, Run]  # a run of a stratum, or (None, run): an intermediate stage


class _Replay:
    """The state of one replay."""

    def __init__(
        self,
        strata: Mapping[str, Curves],
        rule: MakeRule | Jointly,
        slots: int,
        target_seconds: Callable[[str, Run], float],
        intermediate_seconds: Callable[[Run], float],
        shuffle: np.random.Generator | None,
    ) -> None:
        self.strata, self.slots = strata, slots
        self.target_seconds, self.intermediate_seconds = target_seconds, intermediate_seconds
        grid = {name: list(curves.points) for name, curves in strata.items()}
        if isinstance(rule, Jointly):
            self.rules = dict(rule.make(grid))
        else:
            self.rules = {name: rule(name, runs) for name, runs in grid.items()}
        runs = [(name, run) for name, curves in strata.items() for run in curves.points]
        places = range(len(runs)) if shuffle is None else shuffle.permutation(len(runs)).tolist()
        self.number = dict(zip(runs, places, strict=True))
        self.reached: dict[_Job, float] = {}
        self.queued: dict[str, set[Run]] = {name: set() for name in strata}  # or running, or waiting for a parent
        self.queue: list[tuple[float, int, _Job, float]] = []  # -share reached, number in the grid, job, until
        self.events: list[tuple[float, int, _Job, float]] = []  # time, number of the event, job, share reached
        self.waiting: dict[Run, list[tuple[str, float]]] = {}  # intermediate stage -> strata that wait for it
        self.ready: set[Run] = set()
        self.verdicts: dict[str, list[Verdict]] = {name: [] for name in strata}
        self.scores: dict[str, dict[Run, float]] = {name: {} for name in strata}
        self.failed: dict[str, set[Run]] = {name: set() for name in strata}
        self.seconds = 0.0

    def run(self) -> Replayed:
        """Until no rule wants a run."""
        for name in self.strata:
            self._enqueue(name)
        now, started = 0.0, 0
        while self.queue or self.events:
            while self.queue and len(self.events) < self.slots:
                _, _, job, until = heapq.heappop(self.queue)
                work = self._work(job, until)
                self.seconds += work
                started += 1
                heapq.heappush(self.events, (now + work, started, job, until))
            now, _, job, until = heapq.heappop(self.events)
            self._end(job, until)
        outcomes = {
            name: Outcome(
                name, self.scores[name], frozenset(self.failed[name]), rule.stopped(), tuple(self.verdicts[name])
            )
            for name, rule in self.rules.items()
        }
        return Replayed(outcomes, self.seconds, self._full_seconds(), now, frozenset(self.ready))

    def _work(self, job: _Job, until: float) -> float:
        stratum, run = job
        if stratum is None:
            return self.intermediate_seconds(run)
        return (until - self.reached.get(job, 0.0)) * self.target_seconds(stratum, run)

    def _enqueue(self, stratum: str) -> None:
        """Queues what the stratum's rule wants and is not queued or running."""
        wanted = self.rules[stratum].wanted()
        for run in wanted.keys() - self.queued[stratum]:
            job, until = (stratum, run), wanted[run]
            self.queued[stratum].add(run)
            if self._needs_intermediate(run) and run not in self.ready:
                if run not in self.waiting:
                    heapq.heappush(self.queue, (0.0, self.number[job], (None, run), 1.0))
                self.waiting.setdefault(run, []).append((stratum, until))
            else:
                heapq.heappush(self.queue, (-self.reached.get(job, 0.0), self.number[job], job, until))

    def _needs_intermediate(self, run: Run) -> bool:
        return run.arm != BASELINE and run.seed is not None

    def _end(self, job: _Job, until: float) -> None:
        """A stage has ended: an intermediate releases its targets, a target reports."""
        stratum, run = job
        if stratum is None:
            self.ready.add(run)
            for name, share in self.waiting.pop(run, []):
                heapq.heappush(self.queue, (0.0, self.number[name, run], (name, run), share))
            return
        self.reached[job] = until
        self.queued[stratum].discard(run)
        score = self.strata[stratum].score(run, until)
        if math.isnan(score):
            self.failed[stratum].add(run)
        elif until == 1.0:
            self.scores[stratum][run] = score
        rule = self.rules[stratum]
        self.verdicts[stratum] += rule.report(run, until, score)
        if not isinstance(rule, SharedStratum):
            self._enqueue(stratum)
            return
        for name, other in self.rules.items():  # what one stratum reports may change what all want
            assert isinstance(other, SharedStratum)
            self.verdicts[name] += other.take_verdicts()
            self._enqueue(name)

    def _full_seconds(self) -> float:
        targets = math.fsum(self.target_seconds(name, run) for name, run in self.number)
        needed = {run for _, run in self.number if self._needs_intermediate(run)}
        return targets + math.fsum(map(self.intermediate_seconds, needed))
