"""How near a pass of an encoder comes to the matrix products that the machine can do."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np
import torch
from machine import now
from numpy.typing import NDArray


def forward_flops(config: Any, lengths: NDArray[np.int64]) -> float:
    """Operations of a forward pass over all tokens but padding; with a backward pass there are three times as many."""
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    tokens = lengths.astype(np.float64)
    weights = layers * (4 * hidden * hidden + 2 * hidden * inner)
    return float(2 * weights * tokens.sum() + 4 * layers * hidden * (tokens**2).sum())


def matrix_rate(device: torch.device, *, bf16: bool) -> float:
    """Measured products of large square matrices, FLOP/s."""
    size = 8192 if device.type == "cuda" else 2048
    kind = torch.bfloat16 if bf16 else torch.float32
    one, other = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    times = []
    for _ in range(13):
        begin = now(device)
        one @ other
        times.append(now(device).since(begin).wall)
    return float(2 * size**3 / median(times[3:]))


def matrix_share(flops: float, seconds: float, device: torch.device, *, bf16: bool) -> str:
    """What a pass did of what the machine can do, in words."""
    rate, done = matrix_rate(device, bf16=bf16), flops / seconds
    return f"{done / 1e12:.3g} of {rate / 1e12:.3g} TFLOP/s of matrix products, {done / rate:.0%}"
