"""What CUDA takes of memory, and how a process gives what it has freed back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import sys
from pathlib import Path

#: Bytes that CUDA and its libraries take of a GPU in each process, beside torch's tensors.
CONTEXT_BYTES = 7 * 10**8


def trim_memory() -> None:
    """Gives the pages of freed memory back to the system; quick, and nothing is looked for that might be freed."""
    if sys.platform == "linux":
        # Allocators keep freed tensors for themselves unless they are asked: glibc, and jemalloc where it was loaded in
        # glibc's place (4096 stands for all of its arenas). Other C libraries have no such calls.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallctl(b"arena.4096.purge", None, None, None, 0)


def drop_file_pages(address: int, size: int, file: int, start: int) -> None:
    """Lets go of pages of this process that are mapped from a file and hold what the file holds; others stay.

    Where such pages are looked at again they are read again. Linux only; elsewhere nothing is done.

    Args:
        address: Of the first byte.
        size: Bytes that are known to be the same as in the file.
        file: Number of the open file.
        start: Where in the file the first byte stands.
    """
    if sys.platform != "linux" or not _is_mapped(address, size, os.fstat(file).st_ino, start):
        return
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _is_mapped(address: int, size: int, inode: int, start: int) -> bool:
    """Whether a stretch of memory is a stretch of a file, by what the system says of this process."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        place, _, offset, _, number, *_ = line.split()
        low, high = (int(one, 16) for one in place.split("-"))
        if low <= address < high:
            return address + size <= high and int(number) == inode and int(offset, 16) + address - low == start
    return False
