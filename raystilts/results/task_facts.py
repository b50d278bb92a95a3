"""What the answers need to know of a task: the language it trains in, and whose training data it shares."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from raystilts.errors import UserError
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.task import Task, shares_training_data

if TYPE_CHECKING:
    from raystilts.study.schema import Study


def train_language(target: str) -> str:
    """The language that a target trains in; English for tasks that are not registered here."""
    task = _task(target)
    return "en" if task is None else task.train_languages[0]


def overlaps(intermediate: str, target: str, study: Study | None) -> bool:
    """Whether an intermediate trains on the target's own training data."""
    names = tuple(intermediate.split("+"))
    if study is not None:
        named = [arm.tasks for arm in study.intermediates if arm.label == intermediate]
        names = named[0] if named else names
    return _shared(names, target)


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...], target: str) -> bool:
    own = _task(target)
    tasks = [_task(name) for name in names if name not in ("none", "mlm")]
    return own is not None and any(task is not None and shares_training_data(task, own) for task in tasks)


@lru_cache(maxsize=4096)
def _task(name: str) -> Task | None:
    """A registered task; None for a name from elsewhere."""
    if name.partition("@")[0] not in all_tasks():
        return None  # without the search for similar names, which the error has
    try:
        return get_task(name)
    except UserError:
        return None
