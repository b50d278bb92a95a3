from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from raystilts.scheduling.capacity import capacity
from raystilts.scheduling.cluster import ALLOCATOR, ray_cluster
from raystilts.scheduling.fit import fit, trials_a_fit
from raystilts.scheduling.searchers import StageSearch
from raystilts.study.resources import Resources

from .test_graph import graph, stage

# Workers do not know this module: its classes go to them whole.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Echo(tune.Trainable):  # type: ignore[misc]
    """A stage that ends at once, as its name says."""

    def step(self) -> dict[str, Any]:
        key = self.config["stage"]
        if key == "full":
            return {"done": True, "status": "storage", "error": "no space left"}
        return {"done": True, "status": "finished", "actor": os.getpid()}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


class Seen(tune.Callback):  # type: ignore[misc]
    """The trials of each Tune run."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.actors: set[int] = set()

    def setup(self, **info: Any) -> None:
        self.runs.append([])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.runs[-1].append(trial.config["stage"])
        self.actors.add(trial.last_result.get("actor", 0))


def test_a_halted_search_hands_nothing_out() -> None:
    one = StageSearch(graph(stage("p"), stage("a", "p"), stage("q")))
    assert one.suggest("1") is not None
    one.on_trial_complete("1", {"status": "storage", "error": "no space left on /results"})
    assert (one.ended, one.halted) == (True, "no space left on /results")
    one.halt("something else")
    assert one.halted == "no space left on /results"
    assert one.suggest("2") == "FINISHED"
    assert one.lost == []
    assert one.graph.counts["failed"] == 0


def test_more_slots_take_longer_tune_runs() -> None:
    assert [trials_a_fit(slots) for slots in (1, 62, 100, 500, 1000)] == [2500, 2500, 4000, 20_000, 20_000]


@pytest.mark.slow
def test_many_tune_runs_over_one_graph() -> None:
    stages = [stage("p", tokens=9), *(stage(f"c{i}", "p", i) for i in range(7)), stage("q")]
    search, seen = StageSearch(graph(*stages)), Seen()
    with ray_cluster(None):
        slots = capacity().slots(Resources(), ["target"])
        assert slots == int(ray.cluster_resources()["CPU"])
        fit(search, Echo, Resources().of, 1, [seen], trials=4)
        halted = StageSearch(graph(stage("full", tokens=9), *(stage(f"q{i}") for i in range(7))))
        fit(halted, Echo, lambda kind: Resources(cpus=slots), 1, [seen])
    assert [len(run) for run in seen.runs[:3]] == [4, 4, 1]
    assert sorted(key for run in seen.runs[:3] for key in run) == sorted(one.key for one in stages)
    assert seen.runs[0][0] == "p"
    assert search.graph.counts["finished"] == 9
    assert halted.halted == "no space left"
    # Tune may have had a stage or two in hand already.
    assert len(seen.runs) == 4
    assert len(seen.runs[3]) < 8
    assert halted.graph.state["q6"] == "ready"


class Hangs(Echo):
    """A stage that never comes to the end of its update, where its name says so."""

    def step(self) -> dict[str, Any]:
        if self.config["stage"] == "hangs":
            time.sleep(3600)
        return super().step()


@pytest.mark.slow
def test_a_stage_that_hangs_is_ended_with_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raystilts.scheduling.fit.HANG_SECONDS", 2.0)
    search = StageSearch(graph(stage("hangs", tokens=9), stage("q0"), stage("q1")))
    with ray_cluster(None):
        begun = time.monotonic()
        fit(search, Hangs, Resources().of, 1, time_limit_s=1.0)
    assert time.monotonic() - begun < 300, "and not after an hour"
    assert search.graph.state == {"hangs": "failed", "q0": "finished", "q1": "finished"}
    assert (search.lost, search.hung) == (["hangs"], {"hangs"}), "it is not tried again"


@pytest.mark.slow
@pytest.mark.skipif(not Path(ray.__file__).with_name("core").joinpath("libjemalloc.so").exists(), reason="Ray has none")
def test_workers_allocate_by_the_allocator_that_ray_brings_along(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", *ALLOCATOR):
        monkeypatch.delenv(name, raising=False)

    def seen() -> tuple[str, str | None]:
        return Path("/proc/self/maps").read_text(encoding="utf-8"), os.environ.get("MALLOC_CONF")

    with ray_cluster(None):
        assert not ALLOCATOR.keys() & os.environ.keys(), "another Ray that is started here is left alone"
        libraries, conf = ray.get(ray.remote(seen).remote())
    assert "libjemalloc" in libraries
    assert conf == ALLOCATOR["MALLOC_CONF"]
