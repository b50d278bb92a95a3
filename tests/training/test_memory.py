"""Memory that really runs out, in a process of its own with a limited address space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from raystilts.memory import CONTEXT_BYTES
from raystilts.scheduling.cluster import ALLOCATOR
from raystilts.training.memory import is_out_of_memory, memory_limit, release_memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of address space as Linux knows them")
JEMALLOC = Path(ray.__file__).with_name("core") / "libjemalloc.so"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator: can't allocate memory"), False),
    ],
)
def test_what_out_of_memory_looks_like(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("share", "gb", "limit"), [(0.5, 70, 34.3), (0.25, 70, 16.8), (0.125, 8, 0.5), (0.3333, 24, 7.2992)]
)
def test_what_a_stage_may_hold_of_a_gpu(share: float, gb: int, limit: float) -> None:
    assert memory_limit(share, gb * 10**9) == round(limit * 10**9)


@pytest.mark.parametrize("total", [8 * 10**9, 24 * 10**9, 141 * 10**9])
@pytest.mark.parametrize("many", [2, 3, 4])
def test_stages_that_share_a_gpu_fit_on_it(many: int, total: int) -> None:
    assert many * (memory_limit(1 / many, total) + CONTEXT_BYTES) <= total + many


def test_giving_back_more_than_there_is() -> None:
    for _ in range(2):
        release_memory()


KEPT = """
import os, torch
from raystilts.training.memory import release_memory

def held() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

release_memory()  # which may load what it asks
kept = [torch.ones(2**18) for _ in range(400)]
del kept
before = held()
release_memory()
print("jemalloc" in open("/proc/self/maps").read(), before - held())
"""


@pytest.mark.skipif(not JEMALLOC.exists(), reason="Ray brings no jemalloc along here")
def test_memory_goes_back_where_jemalloc_stands_in_for_glibc() -> None:
    """400 MB that it would keep: workers run with what Ray is told."""
    environment = {**os.environ, "LD_PRELOAD": str(JEMALLOC), "MALLOC_CONF": ALLOCATOR["MALLOC_CONF"]}
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, env=environment, check=True)
    loaded, given_back = done.stdout.split()
    assert loaded == "True"
    assert int(given_back) > 390 * 2**20


def hungry(checkpoint: Path, megabytes: int, work: str) -> dict[str, Any]:
    """What a process ends with whose model takes 256 MB for each feature, where so many MB are free."""
    command = [sys.executable, "-m", "tests.training.hungry", str(checkpoint), str(megabytes), work]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_a_smaller_micro_batch_does_the_same_update(tiny_encoder: Path) -> None:
    roomy, tight = (hungry(tiny_encoder, room, "train") for room in (16_000, 900))
    assert (roomy["micro_batch"], tight["micro_batch"]) == (8, 2)
    assert tight["tried"][:3] == [8, 4, 2]
    assert roomy["examples"] == tight["examples"] == 32
    assert roomy["tokens"] == tight["tokens"]
    assert tight["losses"] == pytest.approx(roomy["losses"], abs=1e-5)
    assert tight["weights"] == pytest.approx(roomy["weights"], abs=1e-4)


@pytest.mark.slow
def test_one_example_that_does_not_fit(tiny_encoder: Path) -> None:
    found = hungry(tiny_encoder, 200, "train")
    assert (found["tried"], found["fitted"]) == ([8, 4, 2, 1], [])
    assert "can't allocate memory" in found["error"]


@pytest.mark.slow
def test_evaluation_in_smaller_batches(tiny_encoder: Path) -> None:
    roomy, tight = (hungry(tiny_encoder, room, "predict") for room in (16_000, 900))
    assert roomy["fitted"] == [16]
    assert max(tight["tried"]) == 16
    assert max(tight["fitted"]) <= 3
    assert sum(tight["fitted"]) == 16
    assert tight["scores"] == pytest.approx(roomy["scores"], abs=1e-5)
    assert "can't allocate memory" in hungry(tiny_encoder, 200, "predict")["error"]
