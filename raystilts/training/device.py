"""The device that a stage runs on, by its name."""

from __future__ import annotations

from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """The type of a device as tables give it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "cpu"
