"""What readers of results need to know of a task, as JSON: the run writes it beside the tables."""

from __future__ import annotations

from typing import Any

from raystilts.errors import UserError
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.task import Task


def facts_of(task: Task) -> dict[str, Any]:
    """The fields of `results.task_facts.TaskFacts`, but for the size of the data."""
    return {
        "type": task.type.kind,
        "main_score": task.main_score,
        "languages": list(task.languages),
        "dev_languages": list(task.dev_languages),
        "train_languages": list(task.train_languages),
        "trains": task.requires_training,
        "train_data": None if task.train is None else list(task.train.identity),
    }


def describe_task(name: str) -> dict[str, Any] | None:
    """The facts of a registered task (of the catalogue, or of an installed package); None for an unknown name."""
    if name.partition("@")[0] not in all_tasks():
        return None  # without the search for similar names, which the error has
    try:
        return facts_of(get_task(name))
    except UserError:
        return None
