"""What a search runs next: trials of all units side by side, promoted ones first; knows nothing of Ray."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raystilts.planning.stage import Stage
from raystilts.schedules.asha import Asha, TrialAsha
from raystilts.study.schema import Study
from raystilts.study.search import Value
from raystilts.tuning.sampler import Observed, TrialSampler, values_key
from raystilts.tuning.trials import Unit, settings, space_of, trial_stages


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial reached.

    Attributes:
        share: Share of its budget, 1.0 at the end.
        score: Of the searched metric on dev; None: the trial failed.
        stage: Key of the trial's stage, where the ledger reports.
        lost: Whether it failed with its worker, and not by its values.
    """

    values: Mapping[str, Value]
    share: float
    score: float | None
    stage: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work: a trial up to a share of its budget, or the intermediate that a trial starts from.

    Attributes:
        trial: Key of the trial's values.
        until: Share of the budget.
    """

    unit: Unit
    trial: str
    values: Mapping[str, Value]
    stage: Stage
    until: float

    @property
    def is_parent(self) -> bool:
        """Whether this is an intermediate that trials of a target start from."""
        return self.unit.role == "target" and self.stage.kind == "intermediate"


@dataclass(slots=True)
class _UnitSearch:
    """The search of one unit.

    Attributes:
        asked: Trials that there are to be.
        trials: Values of all trials proposed so far, those of earlier runs among them.
        ready: Trials that may run now, and how far.
        running: Trials that run.
        ended: Trials at their end, or failed.
    """

    unit: Unit
    sampler: TrialSampler
    asha: TrialAsha | None
    asked: int
    trials: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    ready: deque[tuple[str, float]] = field(default_factory=deque)
    running: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    closed: bool = False

    def start(self, values: Mapping[str, Value]) -> str:
        """Adds a trial."""
        key = values_key(values)
        self.trials[key] = values
        if self.asha is not None:
            self.asha.start(key)
        return key

    def report(self, key: str, share: float, score: float | None) -> None:
        """Takes a report into the rungs."""
        failed = score is None or math.isnan(score)
        if failed or share >= 1.0:
            self.ended.add(key)
        awaited = self._awaited(key)
        # A failed trial is last wherever it was to go next; one that ended before its rung (too few updates for a
        # pause) has its final score there.
        while self.asha is not None and awaited is not None and (failed or awaited <= share + 1e-6):
            self._release(self.asha.report(key, awaited, score))
            awaited = self._awaited(key)

    def _awaited(self, key: str) -> float | None:
        """The share at which the rungs wait for a trial; None where they do not."""
        return None if self.asha is None else self.asha.wanted().get(key)

    def close(self) -> None:
        """No more trials will start."""
        if not self.closed:
            self.closed = True
            if self.asha is not None:
                self._release(self.asha.close())

    def resume(self) -> None:
        """After earlier reports were taken in: what of the trials may run now."""
        self.ready.clear()
        if self.asha is not None:
            self._release(self.asha.wanted())
        else:
            self.ready.extend((key, 1.0) for key in self.trials if key not in self.ended)

    def _release(self, keys: Iterable[str]) -> None:
        assert self.asha is not None
        wanted = self.asha.wanted()
        self.ready.extend((key, wanted[key]) for key in keys if key in wanted and key not in self.ended)


class TrialBoard:
    """The trials of a search.

    Args:
        study: A study with a `search` block.
        units: What is searched.
        history: By unit, what the ledger holds of earlier runs, oldest first.
        parents: Keys of intermediate stages whose weights are there.
        spent_hours: Device hours that the ledger's rows took.
    """

    def __init__(
        self,
        study: Study,
        units: Sequence[Unit],
        history: Mapping[Unit, Sequence[Report]],
        parents: frozenset[str] = frozenset(),
        spent_hours: float = 0.0,
    ) -> None:
        self.study, self.search = study, settings(study)
        self.spent_hours = spent_hours
        self.failed: list[Work] = []
        self._parents: dict[str, str] = dict.fromkeys(parents, "done")
        self._waiting: dict[str, list[Work]] = {}
        self._resting: deque[Work] = deque()
        self._units = {unit: self._begin(unit, history.get(unit, ())) for unit in units}

    def _begin(self, unit: Unit, reports: Sequence[Report]) -> _UnitSearch:
        schedule = self.search.schedule
        asha = TrialAsha(schedule.rungs, schedule.reduction_factor) if isinstance(schedule, Asha) else None
        sampler = TrialSampler(space_of(self.study, unit), self.search, latest(reports))
        one = _UnitSearch(unit, sampler, asha, self.search.samples_of(unit.name))
        for report in reports:
            key = values_key(report.values)
            if key not in one.trials:
                one.start(report.values)
            one.report(key, report.share, report.score)
        if len(one.trials) >= one.asked:
            one.close()
        one.resume()
        return one

    def take(self) -> Work | None:
        """The next piece of work, None if there is none now."""
        while self._resting:
            return self._resting.popleft()
        for one in self._units.values():
            if one.ready:
                key, until = one.ready.popleft()
                work = self._work(one, key, until)
                if work is not None:
                    return work
        for one in sorted(self._units.values(), key=lambda u: len(u.trials) / u.asked):
            while not one.closed:
                work = self._propose(one)
                if work is not None:
                    return work
        return None

    def end(self, work: Work, share: float, score: float | None, hours: float = 0.0, *, lost: bool = False) -> None:
        """A piece of work has ended.

        Args:
            share: How far the trial got.
            score: None: it failed.
            hours: Device hours that it took.
            lost: Whether it failed with its worker.
        """
        self.spent_hours += hours
        if work.is_parent:
            self._end_parent(work, failed=score is None)
            return
        one = self._units[work.unit]
        one.running.discard(work.trial)
        if score is None:
            self.failed.append(work)
        one.sampler.tell(_observed(Report(work.values, share, score, lost=lost)))
        one.report(work.trial, share, score)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        if self._resting or self._waiting:
            return False
        return all(one.closed and not one.ready and not one.running for one in self._units.values())

    @property
    def counts(self) -> dict[str, int]:
        """Trials by what they do: asked, ended, running, resting."""
        every = list(self._units.values())
        ended, running = sum(len(u.ended) for u in every), sum(len(u.running) for u in every)
        started = sum(len(u.trials) for u in every)
        asked = sum(u.asked if not u.closed else len(u.trials) for u in every)
        return {"asked": asked, "ended": ended, "running": running, "resting": started - ended - running}

    def stopped(self) -> list[Work]:
        """Trials that rest at a rung and will not go on, with the share of their rung."""
        found = []
        for one in self._units.values():
            for key, share in one.asha.stopped().items() if one.asha else ():
                stage = trial_stages(self.study, one.unit, one.trials[key])[-1]
                found.append(Work(one.unit, key, one.trials[key], stage, share))
        return found

    def _propose(self, one: _UnitSearch) -> Work | None:
        """A new trial of a unit; None where it has no more."""
        budget = self.search.budget_hours
        values = None
        if len(one.trials) < one.asked and (budget is None or self.spent_hours < budget):
            values = one.sampler.ask()
        if values is None:
            one.close()
            return None
        key = one.start(values)
        until = one.asha.wanted()[key] if one.asha is not None else 1.0
        work = self._work(one, key, until)
        if len(one.trials) >= one.asked:
            one.close()
        return work

    def _work(self, one: _UnitSearch, key: str, until: float) -> Work | None:
        """A trial's own work, or that of the intermediate that it needs first; None while that runs."""
        one.running.add(key)
        stages = trial_stages(self.study, one.unit, one.trials[key])
        work = Work(one.unit, key, one.trials[key], stages[-1], until)
        if len(stages) == 1:
            return work
        parent = stages[0]
        state = self._parents.get(parent.key)
        if state == "done":
            return work
        if state == "failed":
            self.end(work, until, None)
            return None
        self._waiting.setdefault(parent.key, []).append(work)
        if state == "running":
            return None
        self._parents[parent.key] = "running"
        return Work(one.unit, key, one.trials[key], parent, 1.0)

    def _end_parent(self, work: Work, *, failed: bool) -> None:
        waiting = self._waiting.pop(work.stage.key, [])
        self._parents[work.stage.key] = "failed" if failed else "done"
        if failed:
            self.failed.append(work)
            for one in waiting:
                self.end(one, one.until, None)
        else:
            self._resting.extend(waiting)


def latest(reports: Sequence[Report]) -> list[Observed]:
    """Each trial as its last report left it, in the order of first reports."""
    found: dict[str, Observed] = {}
    for report in reports:
        found[values_key(report.values)] = _observed(report)
    return list(found.values())


def _observed(report: Report) -> Observed:
    if report.score is None or math.isnan(report.score):
        return Observed(report.values, "lost" if report.lost else "failed", None, report.share)
    return Observed(report.values, "finished" if report.share >= 1.0 else "paused", report.score, report.share)
