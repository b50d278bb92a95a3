"""Halving over seeds at full budget: one seed of every arm, then further seeds of the best few.

Successive halving (Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", ICML 2013) in seeds:
the scores of earlier rounds are kept, so an arm is judged by the mean over all its seeds so far.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from raystilts.schedules.base import BASELINE, Reports, Run, StratumSettings, Verdict, best_first, seeds_there

_ROUNDING = 1e-9  # a third of 21 arms is seven

#: How many arms: a number, a share of all arms (below 1), or all of them.
Places = Literal["all"] | int | float
_KEEP: tuple[Places, ...] = ("all", 4, 3)  # what was measured to be enough: docs/measurements/schedules.md


def places_of(places: Places, arms: int) -> int:
    """How many of so many arms; a share is rounded up."""
    if places == "all":
        return arms
    return min(arms, places if isinstance(places, int) else math.ceil(places * arms - _ROUNDING))


def _check_places(places: Any) -> None:
    """Refuses what is neither `all`, nor a number of arms, nor a share of them."""
    if places == "all" or (isinstance(places, float) and 0 < places < 1) or (type(places) is int and places >= 1):
        return
    raise ValueError(f"{places!r} is not a number of arms, a share of them (below 1), or all")


class Halve(StratumSettings):
    """Halving over seeds: one seed of every arm to the end, further seeds of the best few.

    Attributes:
        keep: Arms that get a first seed (all), a second, and so on: numbers, or shares of all arms. None: all, 4, 3.
        rung: Share of a run's updates at which first seeds are compared; only the best go on. None: at their end.
        rung_keep: Arms whose first seed goes on beyond the rung.
    """

    name: ClassVar[str] = "halve"
    example: ClassVar[str] = "keep: [all, 4, 2, 2]"

    keep: Annotated[tuple[Places, ...] | None, Field(min_length=1)] = None
    rung: Annotated[float, Field(gt=0, lt=1)] | None = None
    rung_keep: Places = 0.5

    @field_validator("keep", mode="before")
    @classmethod
    def _are_places(cls, keep: Any) -> Any:
        if isinstance(keep, list | tuple):
            for one in keep:
                _check_places(one)
        return keep

    @field_validator("rung_keep", mode="before")
    @classmethod
    def _is_places(cls, places: Any) -> Any:
        _check_places(places)
        return places

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if self.keep is None:
            return self
        if self.keep[0] != "all":
            raise ValueError(f"keep must begin with all, not {self.keep[0]!r}: there is no score yet to choose by")
        for before, after in pairwise(self.keep):
            if (type(before) is type(after) and before < after) or (after == "all" != before):  # type: ignore[operator]
                raise ValueError(f"keep must not rise, but has {after} after {before}")
        return self

    def places(self, n_seeds: int) -> tuple[Places, ...]:
        """Arms that get a first seed, a second, and so on, in a study with so many seeds."""
        return self.keep or _KEEP[:n_seeds]

    @property
    def rungs(self) -> tuple[float, ...]:
        """The rung, where there is one."""
        return () if self.rung is None else (self.rung,)

    def check_seeds(self, n_seeds: int) -> None:
        """See `ScheduleSettings`."""
        if self.keep is not None and len(self.keep) > n_seeds:
            raise ValueError(
                f"schedule.halve.keep asks for {len(self.keep)} seeds, but {seeds_there(n_seeds)}; "
                "give more seeds, or a shorter keep"
            )

    def rule(self, runs: Sequence[Run]) -> HalveRule:
        """See `StratumSettings`."""
        most = max(Counter(run.arm for run in runs if run.arm != BASELINE).values(), default=1)
        return HalveRule(runs, self.places(most), self.rung, self.rung_keep)


@dataclass(frozen=True, slots=True)
class _Round:
    """What a round asks of its arms.

    Attributes:
        share: Share of the full budget to which runs go.
        seeds: Runs that each arm is to have.
        places: Arms that enter it.
    """

    share: float
    seeds: int
    places: int


class HalveRule:
    """Gives the best arms of each round one more seed; see `StratumRule` for the methods.

    A round is closed when all runs of its arms have ended, so the order of arrival cannot decide. Then the arms are
    ordered by the mean of their runs that have not failed, equal ones by name, and the first go on. A failed run is no
    low score: in the same round the arm gets its next seed in its place. An arm whose runs have all failed is dropped.

    The baseline takes no place and is never dropped. It gets as many runs as the arms that go on, and in any case the
    seeds that they get.

    With a `rung` the first seed pauses at that share of its budget, and only the best arms there take it to the end. An
    arm whose run is beyond the rung without a score there (it was trained before) goes on and takes no place.

    Args:
        runs: The runs of the stratum; an arm gets its seeds in the order in which they are given.
        keep: Arms that get a first seed (all), a second, and so on.
        rung: Share of the budget at which first seeds are compared; None: only at their end.
        rung_keep: Arms that take their first seed to its end, where there is a rung.
    """

    def __init__(
        self, runs: Iterable[Run], keep: Sequence[Places], rung: float | None = None, rung_keep: Places = 0.5
    ) -> None:
        self._reports = Reports(runs, (1.0,) if rung is None else (rung, 1.0))
        self._racing = [arm for arm in self._reports.arms if arm != BASELINE]
        self._rounds = _rounds(len(self._racing), keep, rung, rung_keep)
        self._number = 0
        self._seeds: set[int | None] = set()  # that arms were given in rounds that are closed
        self._stopped: list[Run] = []

    def wanted(self) -> dict[Run, float]:
        """Runs that the present round waits for, and the baseline's."""
        asked = self._asked() | dict.fromkeys(self._of_the_baseline(), 1.0)
        return {run: share for run, share in asked.items() if not self._reports.settled(run, share)}

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Takes a score; returns the verdict of each round that it closes."""
        if score is None or math.isnan(score):  # a run may fail on its way to a share that is judged
            share = min((known for known in self._reports.shares if known >= share - 1e-6), default=share)
        if not self._reports.add(run, share, score):
            return []
        verdicts = []
        while self._racing and self._number + 1 < len(self._rounds) and self._is_closed():
            verdicts.append(self._close())
        return verdicts

    def stopped(self) -> dict[Run, float]:
        """Runs that were dropped at the rung."""
        return dict.fromkeys(self._stopped, self._rounds[0].share)

    def _is_closed(self) -> bool:
        return all(self._reports.settled(run, share) for run, share in self._asked().items())

    def _asked(self) -> dict[Run, float]:
        """The runs of the arms of this round, and how far they go in it."""
        now = self._rounds[self._number]
        return {run: now.share for arm in self._racing for run in self._first(arm, now)}

    def _first(self, arm: str, now: _Round) -> list[Run]:
        """The runs of an arm that a round asks for: its number, and one more for each of them that has failed."""
        runs, good = self._reports.arms.get(arm, []), 0
        for place, run in enumerate(runs, start=1):
            good += not self._has_failed(run, now.share)
            if good == now.seeds:
                return runs[:place]
        return runs

    def _has_failed(self, run: Run, share: float) -> bool:
        """Whether a run has failed before it had a score at a share."""
        return self._reports.failed(run) and math.isnan(self._reports.score(run, share))

    def _mean(self, arm: str, now: _Round) -> float:
        """Over the runs that the round asks for and that have a score there; NaN without any."""
        scores = [self._reports.score(run, now.share) for run in self._first(arm, now)]
        known = [score for score in scores if not math.isnan(score)]
        return math.fsum(known) / len(known) if known else math.nan

    def _of_the_baseline(self) -> list[Run]:
        """The baseline's runs so far; all of them where there is nothing to compare it with."""
        runs = self._reports.arms.get(BASELINE, [])
        if self._reports.arms.keys() <= {BASELINE}:
            return runs
        seeds = self._seeds | {run.seed for run in self._asked()}
        first = self._first(BASELINE, self._rounds[self._number])
        return [run for run in runs if run in first or run.seed in seeds]

    def _close(self) -> Verdict:
        """Judges a round, and opens the next."""
        now, following = self._rounds[self._number : self._number + 2]
        scores = {arm: self._mean(arm, now) for arm in sorted(self._racing)}
        alive, unknown = best_first(scores)
        passing = [arm for arm in unknown if not all(map(self._reports.failed, self._first(arm, now)))]
        kept = [*alive[: following.places], *passing]
        dropped = [*alive[following.places :], *(arm for arm in unknown if arm not in passing)]
        if now.share < 1.0:
            asked = (run for arm in dropped for run in self._first(arm, now))
            self._stopped = [run for run in asked if not self._reports.ended(run)]
        self._seeds |= {run.seed for run in self._asked()}
        self._racing, self._number = kept, self._number + 1
        return Verdict("halve", self._number, now.share, tuple(kept), tuple(dropped), scores)


def _rounds(arms: int, keep: Sequence[Places], rung: float | None, rung_keep: Places) -> list[_Round]:
    places = [places_of(one, arms) for one in keep]
    finals = [_Round(1.0, seeds, number) for seeds, number in enumerate(places, start=1)]
    if rung is None:
        return finals
    # Who is to get a second seed has a place at the end of the first.
    ends = max(places_of(rung_keep, arms), places[1] if len(places) > 1 else 1)
    return [_Round(rung, 1, arms), _Round(1.0, 1, ends), *finals[1:]]
