"""The machine that a benchmark ran on, in one line, and the median of runs that took turns."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch


def processor() -> str:
    """The name of the processor."""
    facts = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    return names[0] if names else platform.processor()


def machine_line(threads: int) -> str:
    """Processor, threads, load, versions and GPU."""
    import transformers

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none (its rows stay empty)"
    return (
        f"machine: {processor()}, {os.cpu_count()} CPUs, {threads} threads, load {os.getloadavg()[0]:.1f}; GPU {gpu}; "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds on the clock, and of processor time of this process: what neighbours on the machine leave as it is."""

    wall: float
    cpu: float

    def since(self, start: Timing) -> Timing:
        """The time between two readings."""
        return Timing(self.wall - start.wall, self.cpu - start.cpu)


def now(device: torch.device) -> Timing:
    """A reading, when a GPU has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return Timing(perf_counter(), process_time())


def speed_rows(name: str, device: torch.device, tokens: float, ours: list[Timing], theirs: list[Timing]) -> str:
    """Rows of sub-words a second, and on a CPU also of sub-words a second of processor time."""
    found = [row(name, "tokens/s", [tokens / t.wall for t in ours], [tokens / t.wall for t in theirs], higher=True)]
    if device.type == "cpu":
        own, other = [tokens / t.cpu for t in ours], [tokens / t.cpu for t in theirs]
        found.append(row(f"{name}, processor time", "tokens/CPU s", own, other, higher=True))
    return "\n".join(found)


def row(name: str, unit: str, ours: list[float], theirs: list[float], *, higher: bool) -> str:
    """A Markdown row: medians of both sides, their ratio (above 1: ours is better), and the range of the paired ratios.

    Args:
        higher: Whether a higher figure is better.
    """
    one, other = median(ours), median(theirs)
    pairs = sorted(a / b if higher else b / a for a, b in zip(ours, theirs, strict=True))
    ratio = one / other if higher else other / one
    return f"|{name}|{one:.4g} {unit}|{other:.4g} {unit}|{ratio:.2f}|{pairs[0]:.2f} to {pairs[-1]:.2f}|"


HEADER = "|what|raystilts|alternative|ratio|in single rounds|\n|---|---|---|---|---|"


def empty_row(name: str) -> str:
    """A row that no GPU was there for."""
    return f"|{name}|||||"
