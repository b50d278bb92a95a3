"""The energy that a stage takes, where the machine counts it: NVML's counter of a GPU, RAPL's of a CPU.

Both count whole devices; a stage answers for the share of the device that it was given. So stages side by side add up
to the device, and a stage that was alone on a device it had a share of is counted as if the others had been there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Where Linux shows the counters of CPU packages; newer kernels let root alone read them.
RAPL = Path("/sys/class/powercap")
#: Joules of a kilowatt-hour.
KWH = 3.6e6
#: The driver counts millijoules, the kernel microjoules.
MILLI, MICRO = 1e-3, 1e-6


class Meter:
    """Counts from now on.

    Args:
        device: The stage's device.
        gpus: Share of its GPU, 0 to 1; more are whole ones.
        cpus: Its cores.
        rapl: Where the counters of CPU packages are.
    """

    def __init__(self, device: torch.device, gpus: float, cpus: float, rapl: Path = RAPL) -> None:
        self.on_gpu, self.gpus = device.type == "cuda", min(1.0, gpus)
        self.cores = min(1.0, cpus / (os.cpu_count() or 1))
        self.gpu = _gpu_counter(device) if self.on_gpu else None
        self.packages = _packages(rapl)
        self.gpu_start = None if self.gpu is None else self.gpu()
        self.cpu_start = [_number(folder / "energy_uj") for folder in self.packages]

    def kwh(self) -> float | None:
        """Kilowatt-hours since the start; None where the stage's device does not count them.

        A GPU's with those of the CPU, where that counts too.
        """
        gpu, cpu = self._gpu_joules(), self._cpu_joules()
        if self.on_gpu:
            return None if gpu is None else (gpu * self.gpus + (cpu or 0.0) * self.cores) / KWH
        return None if cpu is None else cpu * self.cores / KWH

    def _gpu_joules(self) -> float | None:
        now = None if self.gpu is None else self.gpu()
        return None if now is None or self.gpu_start is None else (now - self.gpu_start) * MILLI

    def _cpu_joules(self) -> float | None:
        total = 0.0
        for folder, start in zip(self.packages, self.cpu_start, strict=True):
            now = _number(folder / "energy_uj")
            if now is None or start is None:
                return None
            # The counter starts again at its end, after hours; of longer stages whole rounds are missed.
            total += now - start if now >= start else now - start + (_number(folder / "max_energy_range_uj") or 0)
        return total * MICRO if self.packages else None


def _packages(rapl: Path) -> list[Path]:
    """The folders of whole CPU packages, whose parts have folders of their own."""
    with suppress(OSError):
        return sorted(one for one in rapl.glob("intel-rapl:*") if one.name.count(":") == 1)
    return []


def _number(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return None


def _gpu_counter(device: torch.device) -> Callable[[], float | None] | None:
    """Reads the millijoules that a GPU has taken since its driver was loaded; None without nvidia-ml-py, or on MIG."""
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # no package, no driver, an older GPU, a part of one
        return None

    def read() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except pynvml.NVMLError:
            return None

    return read
