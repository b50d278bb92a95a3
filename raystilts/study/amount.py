"""How much a stage trains: updates and examples, planned and trained by the same rule."""

from __future__ import annotations

import math
from typing import Literal

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate

Hold = Literal["epochs", "updates"]


def fraction_rows(rows: int, fraction: float) -> int:
    """Training examples in a share of a training set, at least one."""
    return max(1, round(fraction * rows))


def counted_rows(arm: Intermediate | None, rows: list[int], fraction: float, hold: Hold) -> list[int]:
    """The size that each part of a mixture counts with: its share, at most the mixture's cap.

    Args:
        arm: The intermediate; None for a target.
        rows: Training examples of each part at fraction 1.
    """
    sizes = [fraction_rows(count, fraction) if hold == "epochs" else count for count in rows]
    capped = arm is not None and len(rows) > 1 and arm.sampling != "uniform"
    return [min(size, arm.cap) for size in sizes] if capped and arm else sizes


def task_weights(arm: Intermediate, sizes: list[int]) -> list[float]:
    """The share of updates that each task of a mixture gets (before scaling to 1)."""
    if arm.sampling == "uniform":
        return [1.0] * len(sizes)
    power = 1.0 if arm.sampling == "proportional" else 1 / arm.temperature
    return [size**power for size in sizes]


def steps_of(arm: Intermediate | None, rows: list[int], fraction: float, hold: Hold, hp: Hyperparameters) -> int:
    """Updates of a training; masked-LM updates come on top of the tasks' own, unless they share these."""
    masked_lm = arm.masked_lm if arm else None
    if not rows:
        assert masked_lm is not None
        assert masked_lm.max_steps is not None
        return masked_lm.max_steps
    steps = hp.steps(sum(counted_rows(arm, rows, fraction, hold)))
    if masked_lm is None or masked_lm.updates == "shared":
        return steps
    return math.ceil(steps / (1 - masked_lm.probability))
