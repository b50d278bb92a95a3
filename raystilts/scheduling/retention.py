"""Which checkpoints are still needed, and removing the others while a study runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray import tune

from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.scheduling.claims import Claims
from raystilts.scheduling.graph import StageGraph, State
from raystilts.training.checkpoints import Checkpoints

#: States of stages that will not be asked for again; `held` and `paused` ones may be, until the run ends.
_SETTLED: tuple[State, ...] = ("finished", "stopped")
_SETTLED_AT_END: tuple[State, ...] = (*_SETTLED, "held", "paused")
Stratum = tuple[str, str, float | None]
Arm = tuple[str, float | None]


def children_of(stages: Mapping[str, Stage]) -> dict[str, list[str]]:
    """The stages that start from each stage."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, stage in stages.items():
        for source in stage.sources:
            found[source].append(key)
    return found


def is_spare(key: str, children: Iterable[str], state: Mapping[str, State], *, ended: bool = False) -> bool:
    """Whether nothing that is missing starts from a stage. A failed child is missing: the same command runs it again.

    Args:
        state: Of the stages of this run; all others are done.
        ended: The run is over: what its schedule has not asked for by now it will not.
    """
    settled = _SETTLED_AT_END if ended else _SETTLED
    return all(state.get(one, "finished") in settled for one in (key, *children))


@dataclass(slots=True)
class BestArms:
    """Which target checkpoints `keep_targets: best` keeps: in each stratum those of the arm that is best on dev.

    An arm is compared when all its seeds in the stratum have ended, by its mean over those that finished; until then
    its checkpoints are kept. Arms at another fraction than the compared one are never best.

    Attributes:
        compared: The intermediate fraction at which arms compete.
        best: Of each stratum, its best arm so far with its mean.
    """

    compared: float
    stages: dict[tuple[Stratum, Arm], dict[str, Stage]] = field(default_factory=lambda: defaultdict(dict))
    open: dict[tuple[Stratum, Arm], set[str]] = field(default_factory=lambda: defaultdict(set))
    scores: dict[tuple[Stratum, Arm], list[float]] = field(default_factory=lambda: defaultdict(list))
    best: dict[Stratum, tuple[float, Arm]] = field(default_factory=dict)

    def add(self, stage: Stage) -> None:
        """A target stage of the plan."""
        place = _place(stage)
        self.stages[place][stage.key] = stage
        self.open[place].add(stage.key)

    def settle(self, stage: Stage, score: float | None) -> list[str]:
        """A target stage has ended, with a dev score if it finished; returns the train keys that may go."""
        place = _place(stage)
        stratum, arm = place
        self.open[place].discard(stage.key)
        if arm[1] not in (None, self.compared):
            return [stage.train_key]
        if score is not None and score == score:
            self.scores[place].append(score)
        if self.open[place]:
            return []
        scores = self.scores[place]
        mean = sum(scores) / len(scores) if scores else float("-inf")
        before, leader = self.best.get(stratum, (float("-inf"), arm))
        if leader != arm and mean <= before:
            return self._keys(place)
        self.best[stratum] = mean, arm
        return [] if leader == arm else self._keys((stratum, leader))

    def _keys(self, place: tuple[Stratum, Arm]) -> list[str]:
        return [stage.train_key for stage in self.stages[place].values()]


def _place(stage: Stage) -> tuple[Stratum, Arm]:
    stratum = stage.encoder, str(stage.target), stage.target_fraction
    return stratum, (stage.intermediate.label, stage.intermediate_fraction)


def drop_handed_on(planned: Plan, graph: StageGraph, checkpoints: Checkpoints) -> None:
    """Removes trainings in progress that stages along them have left for a stage that has nothing left to do."""
    wholes = {stage.train_key: key for key, stage in planned.stages.items() if stage.train_key == stage.whole_key}
    for whole in {stage.whole_key for stage in planned.stages.values() if stage.ends_on_the_way} - {None}:
        key = wholes.get(str(whole))
        if key is None or graph.state.get(key, "finished") == "finished":
            checkpoints.drop_snapshot(str(whole))


class Retention(tune.Callback):  # type: ignore[misc]
    """Removes checkpoints as soon as the study's `keep` and `keep_targets` allow.

    Args:
        graph: The stages of this run.
        known: Dev scores of the plan's target stages that had finished before.
    """

    def __init__(self, planned: Plan, graph: StageGraph, claims: Claims, known: Mapping[str, float]) -> None:
        self.planned, self.graph, self.claims = planned, graph, claims
        self.keep = planned.study.keep
        self.children = children_of(planned.stages)
        self.best = BestArms(planned.study.compared_fraction)
        if planned.study.keep_targets == "best":
            self._take_in(known)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that never comes."""
        return {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A stage has ended, or has come to a rung."""
        result = trial.last_result
        key = trial.config["stage"]
        if result.get("status") in ("paused", "interrupted"):
            return
        stage = self.planned.stages[key]
        for one in {key, *stage.sources}:
            self._drop_if_spare(one, ended=False)
        if self.planned.study.keep_targets == "best" and stage.kind == "target":
            self._drop(self.best.settle(stage, result.get("dev_score")))

    def end(self) -> None:
        """The run is over."""
        for stage in self.planned.of_kind("intermediate"):
            if self.keep == "none":
                self.claims.remove(stage.train_key)
            else:
                self._drop_if_spare(stage.key, ended=True)
        for place, keys in list(self.best.open.items()):
            for key in list(keys):
                self._drop(self.best.settle(self.best.stages[place][key], None))

    def _take_in(self, known: Mapping[str, float]) -> None:
        """All target stages of the plan, and then what is known of those that are done."""
        targets = self.planned.of_kind("target")
        for stage in targets:
            self.best.add(stage)
        for stage in targets:
            if stage.key not in self.graph.stages:
                self._drop(self.best.settle(stage, known.get(stage.key)))

    def _drop_if_spare(self, key: str, *, ended: bool) -> None:
        stage = self.planned.stages[key]
        if self.keep == "all" or stage.kind != "intermediate":
            return
        if is_spare(key, self.children.get(key, ()), self.graph.state, ended=ended):
            self.claims.remove(stage.train_key)

    def _drop(self, train_keys: Iterable[str]) -> None:
        for train_key in train_keys:
            self.claims.remove(train_key)
