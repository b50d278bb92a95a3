"""What further runs would cost, from the recorded times of stages like them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

#: An intermediate stage (target None, no target fraction), or a stage of a target; by arm.
Name = tuple[str, str | None, float | None]


class Ran(Protocol):
    """Arms and seeds of one target."""

    @property
    def target(self) -> str: ...
    @property
    def target_fraction(self) -> float | None: ...
    @property
    def arms(self) -> tuple[str, ...]: ...
    @property
    def seeds(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class StageTimes:
    """The stages that are there, and how long stages take, in device seconds.

    Attributes:
        by_name: Median time of each arm's stages; `by_place` of all stages of a target or intermediate.
        overall: Median time of a stage.
        there: Arm, target, target fraction and seed of every stage that was tried, intermediates among them.
    """

    by_name: Mapping[Name, float]
    by_place: Mapping[tuple[str | None, float | None], float]
    overall: float
    there: frozenset[tuple[Name, int]]

    @classmethod
    def of(cls, runs: pd.DataFrame, fraction: float) -> StageTimes:
        """Reads `Results.runs()`; of intermediates only those at one fraction count."""
        by_name: dict[Name, list[float]] = defaultdict(list)
        by_place: dict[tuple[str | None, float | None], list[float]] = defaultdict(list)
        there = set()
        columns = ("intermediate", "intermediate_fraction", "target", "target_fraction", "seed", "status", "seconds",
                   "device_share")  # fmt: skip
        rows = runs[list(columns)].astype(object).where(runs[list(columns)].notna(), None)
        for arm, share, target, target_fraction, seed, status, seconds, device in rows.itertuples(index=False):
            if share not in (None, fraction):
                continue
            name = (arm, target, target_fraction)
            if seed is not None and (status == "finished" or target is not None):
                there.add((name, int(seed)))
            if status == "finished":
                by_name[name].append(seconds * device)
                by_place[target, target_fraction].append(seconds * device)
        everything = [value for values in by_place.values() for value in values]
        return cls(
            {name: median(values) for name, values in by_name.items()},
            {place: median(values) for place, values in by_place.items()},
            median(everything) if everything else 0.0,
            frozenset(there),
        )

    def after(self, needs: Iterable[Ran]) -> StageTimes:
        """As it will be when these have run."""
        return replace(self, there=self.there | {stage for need in needs for stage in _stages(need)})

    def used_seeds(self, target: str, target_fraction: float | None, arms: Iterable[str]) -> set[int]:
        """Seeds with which any of these arms, or `none`, has been tried on a target."""
        names = {(arm, target, target_fraction) for arm in (*arms, "none")}
        return {seed for name, seed in self.there if name in names}

    def seconds_of(self, needs: Sequence[Ran]) -> tuple[float, int]:
        """Device seconds and number of the stages that these need and that are not there; each counts once."""
        missing = {stage for need in needs for stage in _stages(need)} - self.there
        return sum(self._time(name) for name, _ in missing), len(missing)

    def _time(self, name: Name) -> float:
        return self.by_name.get(name, self.by_place.get(name[1:], self.overall))


def _stages(need: Ran) -> set[tuple[Name, int]]:
    """The stages of a target's runs, with the intermediates that they start from."""
    found: set[tuple[Name, int]] = set()
    for seed in need.seeds:
        for arm in need.arms:
            found |= {((arm, None, None), seed), ((arm, need.target, need.target_fraction), seed)}
        if need.target_fraction is not None:  # an untrained encoder on a retrieval target has no seed
            found.add((("none", need.target, need.target_fraction), seed))
    return found
