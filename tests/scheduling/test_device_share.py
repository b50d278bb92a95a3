from __future__ import annotations

import io
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from raystilts.planning.resolve import resolve
from raystilts.planning.stages import plan
from raystilts.results.ledger import Ledger
from raystilts.scheduling.capacity import (
    Capacity,
    Footprint,
    NodeType,
    cpu_line,
    heaviest,
    measured,
    share_line,
    share_of,
    smallest_gpu,
    with_share,
)
from raystilts.scheduling.cluster import set_ray_environment
from raystilts.scheduling.nodes import announce
from raystilts.scheduling.trainable import failure_of
from raystilts.study.resources import Resources
from raystilts.training.memory import memory_limit

from .examples import study
from .runs import STUDY, run

GB = 10**9


@pytest.mark.parametrize(
    ("needed", "share"),
    [(1, 0.125), (3 * GB, 0.125), (3 * GB + 1, 0.1428), (4 * GB, 0.1666), (5 * GB, 0.25), (6 * GB, 0.25),
     (7 * GB, 0.3333), (8 * GB, 0.3333), (8 * GB + 1, 0.5), (12 * GB, 0.5), (12 * GB + 1, 1.0), (99 * GB, 1.0)],
)  # fmt: skip
def test_shares_of_a_gpu_of_24_gb(needed: int, share: float) -> None:
    assert share_of(needed, 24 * GB) == share


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_all_that_share_a_gpu_fit(needed: int, total: int) -> None:
    share = share_of(needed, total)
    many = NodeType("node", 64, 1).stages(Resources(gpus=share))
    assert 1 <= many <= 8
    assert many * share <= 1
    assert many == 1 or many * needed <= total


@given(st.integers(0, 10**11), st.integers(0, 3 * 10**9), st.integers(10**9, 2 * 10**11))
def test_a_stage_may_hold_what_auto_has_measured(peak: int, context: int, total: int) -> None:
    footprint = Footprint(peak, context, total)
    share = share_of(footprint.needed, total)
    assert share == 1 or memory_limit(share, total) >= peak


def test_what_a_process_needs() -> None:
    footprint = Footprint(peak=6_000_000_000, context=500_000_000, total=24 * GB)
    assert footprint.needed == 7_900_000_000
    assert replace(footprint, context=900_000_000).needed == 8_100_000_000
    assert share_of(footprint.needed, footprint.total) == 0.3333
    assert share_line(0.25, 4_100_000_000, 24 * GB) == ("resources: auto: 0.25 of a GPU a stage (peak 4.1 of 24.0 GB)")
    assert cpu_line(1, 2) == "resources: auto: 1 CPU a stage, 2 at a time (no GPU found)"
    assert cpu_line(4, 1) == "resources: auto: 4 CPUs a stage, 1 at a time (no GPU found)"


def test_a_share_is_of_the_smallest_gpu_that_stages_may_go_to() -> None:
    small, large = NodeType("a", 8, 1, gpu="A10G", gpu_gb=24), NodeType("b", 8, 1, gpu="L40S", gpu_gb=48)
    unknown = NodeType("c", 8, 1)
    assert smallest_gpu(48 * GB, Resources(gpus=1), Capacity((large,), (small, unknown))) == 24 * GB
    assert smallest_gpu(48 * GB, Resources(gpus=1, gpu_memory_gb=40), Capacity((small, large))) == 48 * GB
    assert smallest_gpu(16 * GB, Resources(gpus=1), Capacity((large,))) == 16 * GB


def test_a_plan_with_a_share_asks_for_no_other(tmp_path: Path) -> None:
    planned = plan(study(tmp_path, resources={"auto": True, "cpus": 2}))
    shared = with_share(planned, 0.25).study.resources
    assert (shared.auto, shared.gpus, shared.cpus) == (False, 0.25, 2)
    assert plan(study(tmp_path)).stages.keys() == planned.stages.keys(), "resources are in no key"


def test_the_heaviest_stage_of_each_kind_of_work(tmp_path: Path) -> None:
    arms: list[Any] = [
        "none", "cldr_names", "cldr_choice", {"task": "cldr_names", "masked_lm": {"text_of": "cldr_units"}},
        {"task": "cldr_dates", "align": {"to": "cldr_units", "loss": "mmd"}},
    ]  # fmt: skip
    hyperparameters = {"max_train_samples": 8, "max_length": 32, "tasks": {"cldr_names": {"max_length": 64}}}
    fields: dict[str, Any] = {"intermediates": arms, "hyperparameters": hyperparameters}
    one = study(tmp_path, **fields)
    planned = plan(one)
    found = {(s.kind, s.intermediate.label) for s in heaviest(planned.stages.values(), one)}
    # Four choices of 32 sub-words are more than one sentence of 64.
    assert found == {
        ("intermediate", "cldr_choice"), ("intermediate", "cldr_names+mlm-cldr_units"),
        ("intermediate", "cldr_dates+mmd-cldr_units"), ("retrieval", "none"),
    }  # fmt: skip
    own = study(tmp_path, **fields, resources={"auto": True, "by_kind": {"intermediate": {"gpus": 1}}})
    assert {s.kind for s in heaviest(planned.stages.values(), own)} == {"target", "retrieval"}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU would be shared")
def test_a_run_without_a_gpu_says_what_a_stage_takes(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY + "resources: auto\n")
    small = ("intermediates=[none]", "intermediate_fractions=[1.0]", "seeds=[0]", "targets=[cldr_match]")
    done = run(tmp_path, "run", str(path), "--storage-path", str(tmp_path), *(x for s in small for x in ("--set", s)))
    assert done.code == 0, done.err
    assert "resources: auto: 1 CPU a stage, " in done.err
    [row] = Ledger(tmp_path / "small").rows()
    assert (row.status, row.threads, row.device_share) == ("finished", 1, 1.0)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="here it could be measured")
def test_where_it_cannot_be_measured_a_stage_gets_a_whole_gpu(tmp_path: Path) -> None:
    """Ray counts a GPU that is not there: the stage goes to a worker, which says why it is not measured."""
    # In a process of its own: after one Ray, a test's process cannot start a cluster of several nodes.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found, shown = process.submit(measured_with_a_pretended_gpu, tmp_path).result()
    assert found is None
    assert shown.splitlines() == [
        "resources: auto: measuring the memory of a stage on one GPU",
        "resources: auto: a whole GPU a stage (not measured: RuntimeError: torch sees no GPU there)",
    ]


def measured_with_a_pretended_gpu(folder: Path) -> tuple[Footprint | None, str]:
    """What is measured, and said, where Ray has been told of a GPU."""
    one = study(folder, resources="auto")
    planned = plan(one)
    expected = announce(resolve(one), str(folder), ["target"], planned)
    shown = io.StringIO()
    set_ray_environment()
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (Ray spells it so)
    ray.init(address="local", num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        stages, console = list(planned.stages.values()), Console(file=shown, width=300)
        return measured(stages, Resources(gpus=1), expected, Capacity(()), console), shown.getvalue()
    finally:
        ray.shutdown()


def test_a_stage_that_its_share_is_too_small_for_says_what_to_do() -> None:
    error, said = torch.OutOfMemoryError("CUDA out of memory."), "torch.OutOfMemoryError: CUDA out of memory."
    assert failure_of(error, None) == ("oom", said)
    more = "(kept to its share of the GPU's memory, gpus: 0.25: give more, or limit_gpu_memory: false)"
    assert failure_of(error, 0.25) == ("oom", f"{said} {more}")
    assert failure_of(ValueError("odd"), 0.25) == ("error", "ValueError: odd")
