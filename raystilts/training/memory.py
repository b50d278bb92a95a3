"""The device that a stage runs on: its name, what running out of memory looks like, how memory is given back."""

from __future__ import annotations

import gc
from pathlib import Path

import torch

from raystilts.memory import CONTEXT_BYTES, trim_memory


def device_name(device: torch.device) -> str:
    """The type of a device as tables give it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "cpu"


def memory_limit(share: float, total: int) -> int:
    """The bytes that torch may hold in a process that has a share of a GPU of `total` bytes: at least half of it."""
    return round(max(0.5 * share * total, share * total - CONTEXT_BYTES))


def limit_gpu_memory(share: float) -> None:
    """Keeps this process to its share of its GPU, which Ray counts and does not enforce.

    Beyond it torch says that memory has run out.
    """
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(memory_limit(share, total) / total, 0)


#: What allocators say where they raise a plain RuntimeError: the CPU's, cuBLAS and the CUDA runtime.
_SIGNS = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "could not allocate memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device (or the host) has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def release_memory() -> None:
    """Gives freed memory back to the device and the system, for a smaller attempt or for the next stage."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    trim_memory()
