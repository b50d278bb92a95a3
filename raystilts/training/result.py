"""What a stage found, before it becomes rows of the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """One score of one task in one language.

    Attributes:
        value: 0 to 1, higher is better.
        step: Updates done when it was taken.
        examples: Rows scored.
        is_main: Whether it is the task's main score.
        is_final: Whether it is of the weights that the stage ended with.
    """

    task: str
    split: str
    language: str
    metric: str
    value: float
    step: int
    examples: int
    is_main: bool
    is_final: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ItemScores:
    """What the weights that a stage ended with score on each item of one set.

    Attributes:
        metric: The task's main score.
        data: Digest of the items: two sets of the same task, split and language with the same digest are the same.
        values: 0 to 1, in the order of the items.
    """

    task: str
    split: str
    language: str
    metric: str
    data: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageResult:
    """The outcome of one stage.

    Attributes:
        dev_score: What picks the arm: the mean main score over the tasks and languages of the study's selection on
            dev; None where no dev data exists. Of a paused training, that at the rung.
        paused_at: Share of the budget at which the training paused; None where it has ended.
        dev_means: The same mean of each metric.
        losses: Mean training loss of each update, empty where nothing was trained.
        best_step: Updates of the weights that were kept.
        trained: Whether training ran now (otherwise the weights were there).
        checkpoint: Folder with the weights, if they are kept.
        items: Scores of single items, where the study keeps them.
    """

    scores: tuple[Score, ...]
    dev_score: float | None
    losses: tuple[float, ...]
    steps_done: int
    steps_planned: int
    best_step: int
    examples: int
    tokens: int
    micro_batch: int
    train_seconds: float
    eval_seconds: float
    threads: int
    device: str
    precision: str
    trained: bool
    checkpoint: str | None
    paused_at: float | None = None
    dev_means: Mapping[str, float] = field(default_factory=dict)
    items: tuple[ItemScores, ...] = ()


def mean_dev(scores: Iterable[Score]) -> float | None:
    """The mean main score over tasks and languages on dev; None where there is none."""
    values = [s.value for s in scores if s.split == "dev" and s.is_main]
    # Exact, so that the same scores in another order, as the ledger gives them, have the same mean.
    return math.fsum(values) / len(values) if values else None


def dev_means(scores: Iterable[Score]) -> dict[str, float]:
    """Each metric's mean over tasks and languages on dev."""
    values: dict[str, list[float]] = {}
    for score in scores:
        if score.split == "dev":
            values.setdefault(score.metric, []).append(score.value)
    return {metric: math.fsum(found) / len(found) for metric, found in values.items()}
