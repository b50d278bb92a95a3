"""A cluster of unlike nodes, simulated on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune
from ray.cluster_utils import Cluster

from raystilts.scheduling.capacity import ACCELERATOR, capacity
from raystilts.scheduling.cluster import RAY_ENVIRONMENT
from raystilts.scheduling.fit import fit
from raystilts.scheduling.searchers import StageSearch
from raystilts.study.resources import Resources

from .test_graph import graph, stage

# Workers do not know this module: its classes go to them whole.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Nap(tune.Trainable):  # type: ignore[misc]
    """A stage that says where it runs."""

    def step(self) -> dict[str, Any]:
        (node,) = [one for one in ray.nodes() if one["NodeID"] == ray.get_runtime_context().get_node_id()]
        gpu = (node.get("Labels") or {}).get(ACCELERATOR)
        return {"done": True, "status": "finished", "gpu": gpu}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to save."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing to load."""


class Seen(tune.Callback):  # type: ignore[misc]
    """The GPUs that stages ran on."""

    def __init__(self) -> None:
        self.gpus: list[str | None] = []

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.gpus.append(trial.last_result["gpu"])


@pytest.fixture(autouse=True)
def _quiet_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Ray as a run has it, in a home folder of the test."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name, value in RAY_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    yield
    ray.shutdown()


def test_stages_that_need_memory_go_where_it_is() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for gpu in ("A10G", "L40S"):
            cluster.add_node(num_cpus=1, num_gpus=1, labels={ACCELERATOR: gpu})
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        found = capacity()
        small, large = Resources(gpus=1, gpu_memory_gb=16), Resources(gpus=1, gpu_memory_gb=40)
        assert (found.slots(small, ["target"]), found.slots(large, ["target"])) == (2, 1)
        seen = Seen()
        search = StageSearch(graph(*(stage(f"s{i}") for i in range(3))))
        fit(search, Nap, lambda kind: large, 1, [seen], cluster=found)
        assert seen.gpus == ["L40S"] * 3
    finally:
        ray.shutdown()
        cluster.shutdown()
