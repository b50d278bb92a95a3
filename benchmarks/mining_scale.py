"""Bitext mining of pools of several sizes, block by block, beside the whole similarity matrix at once.

    python benchmarks/mining_scale.py --sizes 5000 10000 20000 --alone 100000

Random vectors in which half of the sentences have a translation. The whole matrix is what a short script would hold:
numpy, float32, the k nearest by `argpartition` on both sides. Each measurement is a process of its own, for its peak of
memory; where torch sees a GPU, ours runs there.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from time import perf_counter

import numpy as np
import torch
from machine import machine_line
from numpy.typing import NDArray

from raystilts.metrics.mining import mine

K = 4
Floats = NDArray[np.float32]


def pools(size: int, width: int) -> tuple[Floats, Floats]:
    """Two pools of unit vectors; the first half of each are translations of one another."""
    rng = np.random.default_rng(0)
    source, target = (rng.normal(size=(size, width)).astype(np.float32) for _ in range(2))
    half = size // 2
    target[:half] = source[:half] + 0.8 * target[:half]
    norms = (np.linalg.norm(one, axis=1, keepdims=True) for one in (source, target))
    return source / next(norms), target / next(norms)


def whole(source: Floats, target: Floats) -> set[tuple[int, int]]:
    """Margin mining with all similarities at once; one to one, best first."""
    cosines = source @ target.T
    ahead, back = (np.argpartition(-one, K, axis=1)[:, :K] for one in (cosines, cosines.T))
    means = [np.take_along_axis(one, near, axis=1).mean(axis=1) for one, near in ((cosines, ahead), (cosines.T, back))]
    proposals = []
    for one, near, own, other in ((cosines, ahead, *means), (cosines.T, back, *means[::-1])):
        margin = np.take_along_axis(one, near, axis=1) / ((own[:, None] + other[near]) / 2)
        best = margin.argmax(axis=1)
        rows = np.arange(len(near))
        proposals.append((rows, near[rows, best], margin[rows, best]))
    pairs = [(m, i, j) for i, j, m in zip(*proposals[0], strict=True)]
    pairs += [(m, i, j) for j, i, m in zip(*proposals[1], strict=True)]
    found: set[tuple[int, int]] = set()
    free: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in sorted(((m, int(i), int(j)) for m, i, j in pairs), reverse=True):
        if i not in free[0] and j not in free[1]:
            found.add((i, j))
            free[0].add(i)
            free[1].add(j)
    return found


def measure(way: str, size: int, width: int) -> dict[str, float]:
    """Seconds, peak memory in GB, and the share of translations that were found, in a process of its own."""
    command = [sys.executable, __file__, "--one", way, str(size), str(width)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def one(way: str, size: int, width: int) -> None:
    """Prints one measurement."""
    source, target = pools(size, width)
    start = perf_counter()
    found = whole(source, target) if way == "whole" else mine(source, target, K).pairs()
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    right = sum((i, i) in found for i in range(size // 2)) / (size // 2)
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "found": right}))


def main() -> None:
    """Prints a row a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[5_000, 10_000, 20_000])
    parser.add_argument("--alone", type=int, nargs="*", default=[100_000], help="sizes without the whole matrix")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one[0], int(asked.one[1]), int(asked.one[2]))
        return
    print(machine_line(torch.get_num_threads()))
    print("\n|pool|blocks: s|whole matrix: s|ratio|blocks: peak GB|whole: peak GB|translations found|")
    print("|---|---|---|---|---|---|---|")
    for size in [*asked.sizes, *asked.alone]:
        ours = measure("blocks", size, asked.width)
        other = None if size in asked.alone else measure("whole", size, asked.width)
        theirs = "-|-" if other is None else f"{other['seconds']:.1f}|{other['seconds'] / ours['seconds']:.2f}"
        peak = f"would be over {12 * size**2 / 1e9:.0f}" if other is None else f"{other['peak_gb']:.2f}"
        print(
            f"|{size:,} x {size:,}|{ours['seconds']:.1f}|{theirs}|{ours['peak_gb']:.2f}|{peak}|{ours['found']:.3f}|",
            flush=True,
        )


if __name__ == "__main__":
    main()
