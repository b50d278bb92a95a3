from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from raystilts.training.energy import KWH, Meter

CPU = torch.device("cpu")


def package(rapl: Path, name: str, joules: float, most: float = 262_143.0) -> None:
    """A folder as Linux shows a CPU package's counter."""
    folder = rapl / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (folder / "max_energy_range_uj").write_text(f"{round(most * 1e6)}\n")


def test_the_packages_of_a_machine_by_the_share_of_its_cores(tmp_path: Path) -> None:
    cores = os.cpu_count() or 1
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        package(tmp_path, name, 100.0)
    meter = Meter(CPU, 0.0, cores / 2, tmp_path)
    package(tmp_path, "intel-rapl:0", 3700.0)
    package(tmp_path, "intel-rapl:0:0", 9000.0)
    assert meter.kwh() == pytest.approx(3600.0 / KWH / 2), "parts of a package are in it"
    package(tmp_path, "intel-rapl:1", 500.0)
    assert meter.kwh() == pytest.approx(4000.0 / KWH / 2)


def test_a_counter_that_starts_again(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 990.0, most=1000.0)
    meter = Meter(CPU, 0.0, os.cpu_count() or 1, tmp_path)
    package(tmp_path, "intel-rapl:0", 15.0, most=1000.0)
    assert meter.kwh() == pytest.approx(25.0 / KWH)


@pytest.mark.parametrize("text", [None, "", "odd"])
def test_nothing_is_said_where_nothing_is_counted(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        package(tmp_path, "intel-rapl:0", 1.0)
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text(text)
    assert Meter(CPU, 0.0, 1.0, tmp_path).kwh() is None
    assert Meter(CPU, 0.0, 1.0, tmp_path / "not").kwh() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_at_work_takes_between_its_least_and_its_most_power(tmp_path: Path) -> None:
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    import time

    whole, half = (Meter(torch.device("cuda"), share, 1.0, tmp_path) for share in (1.0, 0.5))
    a = torch.randn(4096, 4096, device="cuda")
    start = time.monotonic()
    while time.monotonic() - start < 3:
        a = (a @ a).clamp(-1, 1)
        torch.cuda.synchronize()
    seconds = time.monotonic() - start
    kwh = whole.kwh()
    assert kwh is not None
    assert 20 < kwh * KWH / seconds < 2000, "watts"
    assert half.kwh() == pytest.approx(kwh / 2, rel=0.1)
