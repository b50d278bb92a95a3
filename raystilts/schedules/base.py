"""What a schedule is: settings that a study file gives, and a rule that hears scores and says which runs may go on.

Rules are pure: no Ray, no torch. `FullRule` is the one without early stopping.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

#: The arm without intermediate training: never stopped, never dropped.
BASELINE = "none"

#: Shares closer than this are the same share (steps / all steps is not exact).
_SAME_SHARE = 1e-6


class Run(NamedTuple):
    """One run inside one stratum.

    Attributes:
        arm: Name of the arm; `none` is the baseline.
        seed: Its seed; None where the score has no seed (an untrained encoder on a retrieval target).
    """

    arm: str
    seed: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule decided in one round, and from which scores.

    Attributes:
        rule: The schedule's name.
        round: Number of the rung or round, from 1.
        share: Share of the full budget at which the scores were taken.
        kept: Arms that go on, best first.
        dropped: Arms that do not, best first, failed ones last.
        scores: The arms' means that it was decided from; NaN where every run of the arm has failed.
    """

    rule: str
    round: int
    share: float
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    scores: Mapping[str, float]


class StratumRule(Protocol):
    """Early stopping inside one stratum, the only place where scores may be compared.

    The answers depend on the set of reports so far and never on their order between runs (a run's own reports come in
    the order of its shares). So the same reports read back after a restart give the same state and the same verdicts.
    """

    def wanted(self) -> dict[Run, float]:
        """Runs that may go on now, and to which share of the full budget (1.0 is the end).

        Runs that have reached that share are not listed.
        """
        ...

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Takes a run's score on dev at a share that was wanted.

        A share reported before is ignored. A report of 1.0 for a run that has skipped rungs says nothing of them.

        Args:
            run: One of the stratum's runs.
            share: Share of the full budget, in (0, 1].
            score: Higher is better; None or NaN: the run has failed and will not go on.

        Returns:
            The verdicts that this report made final. Arms may be released or stopped before: see `wanted`, `stopped`.

        Raises:
            ValueError: A run that is not of this stratum, or a share that the rule does not know.
        """
        ...

    def stopped(self) -> dict[Run, float]:
        """Runs that the rule has ended before their end, with the share of the rung at which they stand.

        Failed runs, and runs that were never wanted, are not among them.
        """
        ...


class SharedRule(ABC):
    """A rule that decides for all strata of a study together; `of` gives what drives a single one.

    `StratumRule` says what its answers depend on.

    Args:
        strata: What the strata are called.
    """

    def __init__(self, strata: Iterable[str]) -> None:
        self._verdicts: dict[str, list[Verdict]] = {key: [] for key in strata}

    def of(self, key: str) -> SharedStratum:
        """The rule of one stratum, see `StratumRule`."""
        return SharedStratum(self, key)

    def take_verdicts(self, key: str) -> list[Verdict]:
        """The verdicts of a stratum since the last call."""
        found, self._verdicts[key] = self._verdicts[key], []
        return found

    @property
    @abstractmethod
    def rounds_decided(self) -> int:
        """Changes when any stratum's wanted runs may have changed."""

    @abstractmethod
    def wanted(self, key: str) -> dict[Run, float]:
        """Runs of a stratum that were decided on and have not ended."""

    @abstractmethod
    def report(self, key: str, run: Run, share: float, score: float | None) -> None:
        """Takes a score; verdicts are left to `take_verdicts`."""


class SharedStratum:
    """One stratum of a `SharedRule`, as a `StratumRule`; what it reports may change what the others want.

    Args:
        shared: The rule of all strata.
        key: Which of them.
    """

    def __init__(self, shared: SharedRule, key: str) -> None:
        self.shared = shared
        self._key = key

    def wanted(self) -> dict[Run, float]:
        """Runs of this stratum that were decided on and have not ended."""
        return self.shared.wanted(self._key)

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Takes a score; returns the stratum's verdicts since the last call."""
        self.shared.report(self._key, run, share, score)
        return self.take_verdicts()

    def take_verdicts(self) -> list[Verdict]:
        """The stratum's verdicts since the last call, also those that a report of another stratum has made final."""
        return self.shared.take_verdicts(self._key)

    def stopped(self) -> dict[Run, float]:
        """No run is ended before its end."""
        return {}


class Reports:
    """The scores that have come in, by run and share.

    Args:
        runs: The runs of the stratum; the order of an arm's seeds is kept.
        shares: Shares at which scores are taken, rising, 1.0 last.
    """

    def __init__(self, runs: Iterable[Run], shares: tuple[float, ...]) -> None:
        self.shares = shares
        self.arms: dict[str, list[Run]] = {}
        for run in runs:
            self.arms.setdefault(run.arm, []).append(run)
        self._scores: dict[Run, dict[float, float]] = {run: {} for arm in self.arms.values() for run in arm}
        self._failed: set[Run] = set()
        self._reached = dict.fromkeys(self._scores, 0.0)  # the furthest share; infinite for a failed run

    def add(self, run: Run, share: float, score: float | None) -> bool:
        """Keeps a report; returns whether it is new."""
        if run not in self._scores:
            raise ValueError(f"{run} is not of this stratum, which has the arms {sorted(self.arms)}")
        known = next((s for s in self.shares if abs(s - share) <= _SAME_SHARE), None)
        if known is None:
            raise ValueError(f"share {share:g} of {run} was not asked for; the shares are {list(self.shares)}")
        if known in self._scores[run]:
            return False
        value = math.nan if score is None else float(score)
        self._scores[run][known] = value
        self._reached[run] = max(known, self._reached[run])
        if math.isnan(value):
            self._failed.add(run)
            self._reached[run] = math.inf
        return True

    def failed(self, run: Run) -> bool:
        """Whether the run has failed; it will report no more."""
        return run in self._failed

    def settled(self, run: Run, share: float) -> bool:
        """Whether the run's score at a share is known, or will never be: failed, or already beyond."""
        return self._reached[run] >= share

    def ended(self, run: Run) -> bool:
        """Whether the run has nothing left to do: failed, or at the end."""
        return self._reached[run] >= 1.0

    def score(self, run: Run, share: float) -> float:
        """The run's score at a share; NaN where it has none."""
        return self._scores[run].get(share, math.nan)

    def mean(self, arm: str, share: float) -> float:
        """The arm's mean at a share over its seeds that have a score there; NaN without any."""
        scores = [s for s in (self.score(run, share) for run in self.arms[arm]) if not math.isnan(s)]
        return math.fsum(scores) / len(scores) if scores else math.nan


def best_first(scores: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The arms that have a score, best first (equal ones by name), and those with NaN, by name."""
    alive = [arm for arm, score in scores.items() if not math.isnan(score)]
    return sorted(alive, key=lambda arm: (-scores[arm], arm)), sorted(scores.keys() - set(alive))


class ScheduleSettings(BaseModel):
    """The settings of one schedule; a study file writes them as `{name: {...}}`.

    Attributes:
        name: What a study file calls the schedule.
        example: Some of its settings, for messages.
        hints: By setting, what its value means, for messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ClassVar[str]
    example: ClassVar[str]
    hints: ClassVar[Mapping[str, str]] = {}

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {self.name: handler(self)}

    def check_seeds(self, n_seeds: int) -> None:
        """Refuses settings that ask for more seeds than an arm of the study has.

        Raises:
            ValueError: Says what is asked for and what is there.
        """

    @property
    def rungs(self) -> tuple[float, ...]:
        """Shares of a run's updates at which it may be stopped."""
        return ()


class StratumSettings(ScheduleSettings):
    """The settings of a schedule that has a rule for each stratum."""

    def rule(self, runs: Sequence[Run]) -> StratumRule:
        """The rule of one stratum.

        Args:
            runs: The stratum's runs that compete, and those of the baseline; each arm's seeds in the study's order.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rule")

    def shared_rule(self, strata: Mapping[str, Iterable[Run]]) -> SharedRule | None:
        """The rule of all strata together, by what they are called; None where each has its own."""
        return None


def seeds_there(n_seeds: int) -> str:
    """How many seeds a study has, in words."""
    return f"the study has {n_seeds} seed{'s' if n_seeds > 1 else ''}"


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
