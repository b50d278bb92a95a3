from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.scheduling.claims import Claims
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.retention import BestArms, Retention, children_of, is_spare
from raystilts.training.checkpoints import MARKER, Checkpoints

from .examples import study


def planned(tmp_path: Path, **changes: Any) -> Plan:
    """Two arms and `none`, two fractions, two seeds, a trained target."""
    fields = {
        "intermediates": ["none", "cldr_names", "cldr_same"],
        "intermediate_fractions": [0.5, 1.0],
        "targets": [{"task": "cldr_units", "languages": ["en"]}],
        "seeds": [0, 1],
    }
    return plan(study(tmp_path, **(fields | changes)))


class Run:
    """A run of a plan whose stages end as they are told, with real folders for checkpoints."""

    def __init__(self, one: Plan, folder: Path, todo: dict[str, Stage] | None = None, **known: float) -> None:
        self.plan, self.checkpoints = one, Checkpoints(folder)
        self.graph = StageGraph(one.stages if todo is None else todo)
        self.keeping = Retention(one, self.graph, Claims(str(folder / "none" / "here"), self.checkpoints), known)

    def save(self, stage: Stage) -> None:
        (self.checkpoints.folder / stage.train_key).mkdir(parents=True)
        (self.checkpoints.folder / stage.train_key / MARKER).write_text("{}")

    def end(self, stage: Stage, score: float | None = None, *, failed: bool = False) -> None:
        """A stage that runs ends."""
        while self.graph.state[stage.key] != "running":
            assert self.graph.take() is not None
        if failed:
            self.graph.fail(stage.key)
        else:
            self.save(stage)
            self.graph.finish(stage.key, score)
        self.keeping.on_trial_complete(0, [], Trial(stage, failed, score))

    @property
    def kept(self) -> set[str]:
        return {path.name for path in self.checkpoints.folder.iterdir() if not path.name.startswith(".")}


class Trial:
    def __init__(self, stage: Stage, failed: bool, score: float | None) -> None:
        self.config = {"stage": stage.key, "kind": stage.kind, "until": 1.0}
        self.last_result = {"status": "failed" if failed else "finished", "dev_score": score}


def test_children_and_spare_parents() -> None:
    stages = plan(study(Path("/nowhere"))).stages
    children = children_of(stages)
    [parent] = children
    own = children[parent]
    assert len(own) == 2
    done = dict.fromkeys((parent, *own), "finished")
    assert is_spare(parent, own, done)  # type: ignore[arg-type]
    assert is_spare(parent, own, {})
    for state in ("waiting", "ready", "running", "failed", "skipped", "held", "paused"):
        for one in (parent, *own):
            assert not is_spare(parent, own, done | {one: state})  # type: ignore[arg-type]
    assert is_spare(parent, own, done | {own[0]: "stopped"})  # type: ignore[arg-type]
    assert is_spare(parent, own, done | {own[0]: "held", own[1]: "paused"}, ended=True)  # type: ignore[arg-type]
    assert not is_spare(parent, own, done | {own[0]: "failed"}, ended=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("keep", ["all", "needed", "none"])
def test_an_intermediate_goes_with_its_last_child(tmp_path: Path, keep: str) -> None:
    one = planned(tmp_path, keep=keep, keep_targets="none", targets=["cldr_units", "cldr_dates"])
    run = Run(one, tmp_path / "checkpoints")
    parents = one.of_kind("intermediate")
    for parent in parents:
        run.end(parent)
    everything = {parent.train_key for parent in parents}
    assert run.kept == everything
    first, second, *others = parents
    mine = [stage for stage in one.of_kind("target") if stage.parent == first.key]
    run.end(mine[0])
    run.checkpoints.remove(mine[0].train_key)
    assert run.kept == everything
    run.end(mine[1])
    run.checkpoints.remove(mine[1].train_key)
    assert run.kept == everything - ({first.train_key} if keep != "all" else set())
    for stage in one.of_kind("target"):
        if stage.parent == second.key:
            run.end(stage, failed=True)
    assert second.train_key in run.kept, "the same command runs its children again"
    run.keeping.end()
    left = {parent.train_key for parent in (second, *others)}
    assert run.kept == {"all": everything, "needed": left, "none": set()}[keep]


def test_what_an_earlier_run_left(tmp_path: Path) -> None:
    one = planned(tmp_path, keep="needed")
    parent, child = one.of_kind("intermediate")[0], one.of_kind("target")[-1]
    run = Run(one, tmp_path / "checkpoints", todo={child.key: child})
    run.save(parent)
    owner = one.stages[str(child.parent)]
    run.save(owner)
    run.keeping.end()
    assert run.kept == {owner.train_key}


SCORES = {("none", None): 0.5, ("cldr_names", 1.0): 0.7, ("cldr_same", 1.0): 0.6, ("cldr_names", 0.5): 0.9}


def test_the_best_arm_is_kept_whatever_the_order(tmp_path: Path) -> None:
    one = planned(tmp_path, keep_targets="best")
    arms: dict[tuple[str, float | None], list[Stage]] = {}
    for stage in one.of_kind("target"):
        arms.setdefault((stage.intermediate.label, stage.intermediate_fraction), []).append(stage)
    assert {len(stages) for stages in arms.values()} == {2}
    best = {stage.train_key for stage in arms["cldr_names", 1.0]}
    for order in permutations(SCORES):
        keeper = BestArms(1.0)
        for stage in one.of_kind("target"):
            keeper.add(stage)
        gone: list[str] = []
        for seed in (0, 1):
            for arm in order:
                gone += keeper.settle(arms[arm][seed], SCORES[arm] + (0.3 if seed else -0.3))
        everything = {stage.train_key for arm in SCORES for stage in arms[arm]}
        assert everything - set(gone) == best
        assert not best & set(gone)


def test_an_arm_waits_for_its_seeds(tmp_path: Path) -> None:
    one = planned(tmp_path, keep_targets="best")
    run = Run(one, tmp_path / "checkpoints")
    for parent in one.of_kind("intermediate"):
        run.end(parent)
        run.checkpoints.remove(parent.train_key)
    targets = {(s.intermediate.label, s.intermediate_fraction, s.seed): s for s in one.of_kind("target")}
    for seed, score in ((0, 0.4), (1, 0.4)):
        run.end(targets["none", None, seed], score)
    run.end(targets["cldr_names", 1.0, 0], 0.9)
    none = {targets["none", None, seed].train_key for seed in (0, 1)}
    names = {targets["cldr_names", 1.0, seed].train_key for seed in (0, 1)}
    assert run.kept == none | {targets["cldr_names", 1.0, 0].train_key}
    run.end(targets["cldr_names", 0.5, 0], 0.95)
    assert run.kept == none | {targets["cldr_names", 1.0, 0].train_key}, "a point of a curve is never best"
    run.end(targets["cldr_names", 1.0, 1], 0.7)
    assert run.kept == names
    run.end(targets["cldr_same", 1.0, 0], 0.99)
    run.end(targets["cldr_same", 1.0, 1], failed=True)
    assert run.kept == {targets["cldr_same", 1.0, 0].train_key}, "the mean over the seeds that finished"


def test_a_restart_knows_the_best_arm(tmp_path: Path) -> None:
    one = planned(tmp_path, keep_targets="best")
    targets = {(s.intermediate.label, s.intermediate_fraction, s.seed): s for s in one.of_kind("target")}
    left = {s.key: s for s in one.of_kind("target") if s.intermediate.label == "cldr_same"}
    known = {s.key: SCORES[arm, fraction] for (arm, fraction, _), s in targets.items() if s.key not in left}
    run = Run(one, tmp_path / "checkpoints", left, **known)
    assert run.keeping.best.best["", "cldr_units", 1.0] == (0.7, ("cldr_names", 1.0))
    for seed in (0, 1):
        run.end(targets["cldr_same", 1.0, seed], 0.2)
    assert run.kept == set()
