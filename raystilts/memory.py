"""How a process gives memory that it has freed back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def trim_memory() -> None:
    """Gives the pages of freed memory back to the system; quick, and nothing is looked for that might be freed."""
    if sys.platform == "linux":
        # Allocators keep freed tensors for themselves unless they are asked: glibc, and jemalloc where it was loaded in
        # glibc's place (4096 stands for all of its arenas). Other C libraries have no such calls.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallctl(b"arena.4096.purge", None, None, None, 0)
