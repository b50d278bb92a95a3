"""What one gets without looking at the text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from raystilts.tasks.registry import get_task


@cache
def constant_score(name: str, language: str, limit: int | None, folder: Path | None) -> float:
    """The best main score that a constant answer gets on a task's dev data; 0 where none scores.

    Args:
        limit: Dev examples that are scored; None for all.
        folder: The data folder; None for the hub.
    """
    task = get_task(name)
    rows = task.type.sample(task.load_dev(language, folder), limit)
    scores = [task.type.score(guess, rows, language) for guess in task.type.constant_predictions(rows)]
    return max((score[task.main_score] for score in scores), default=0.0)
