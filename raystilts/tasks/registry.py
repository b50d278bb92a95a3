"""Finds tasks by name: the catalogue, installed packages and a user's own files."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.task import Task

#: The entry point group by which an installed package offers tasks.
ENTRY_POINTS = "raystilts.tasks"

#: Intermediates of study files that are no task: the arm without training, and mixtures.
RESERVED = ("none", "all", "anli_plus")

_TASKS: dict[str, Task] = {}
_SCANNED: set[str] = set()


def register(task: Task) -> Task:
    """Makes a task known by its name; the same task again is no error.

    Raises:
        UserError: If another task has that name, the name holds an "@", or it is one of `RESERVED`.
    """
    known = _TASKS.get(task.name)
    if known is not None and known != task:
        raise UserError(f"task {task.name!r} is already registered with another definition; rename one of them")
    if "@" in task.name:
        raise UserError(f"task {task.name!r}: '@' stands for another training language; choose a name without it")
    if task.name in RESERVED:
        raise UserError(f"task {task.name!r}: the word has a meaning of its own in study files; choose another name")
    _TASKS[task.name] = task
    return task


def get_task(name: str) -> Task:
    """The task of that name; ``mnli@sw+hi`` is ``mnli`` with training data in Swahili and Hindi.

    Raises:
        UserError: If there is none.
    """
    base, _, codes = name.partition("@")
    tasks = all_tasks()
    if base not in tasks:
        raise UserError(f"task {name!r} is unknown; {did_you_mean(base, tasks)}")
    if "@" in name and not all(codes.split("+")):
        raise UserError(f"task {name!r}: no language after '@'; write {base}@de or {base}@sw+hi")
    return tasks[base].in_language(codes) if codes else tasks[base]


def all_tasks() -> dict[str, Task]:
    """Every registered task by name, sorted."""
    if "catalog" not in _SCANNED:
        _SCANNED.add("catalog")
        _scan_catalog()
        _scan_entry_points()
    return dict(sorted(_TASKS.items()))


def _scan_catalog() -> None:
    package = importlib.import_module("raystilts.tasks.catalog")
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        for value in vars(importlib.import_module(f"{package.__name__}.{found.name}")).values():
            for task in value if isinstance(value, list) else [value]:
                if isinstance(task, Task):
                    register(task)


def _scan_entry_points() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
        except Exception as error:  # another package's fault must be told as such
            raise UserError(f"entry point {entry.name!r} ({entry.value}) cannot be loaded: {error}") from error
        for task in _tasks_of(loaded, entry.value):
            register(task)


def load_task_file(path: str | Path) -> list[Task]:
    """Runs a user's own Python file with a `TASK` or `TASKS`, and registers what it defines.

    Raises:
        UserError: If there is no such file, it fails, or it defines no task.
    """
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise UserError(f"task file: {str(path)!r} is not a Python file; give a .py file that sets TASK = Task(...)")
    spec = importlib.util.spec_from_file_location(f"raystilts_task_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"task file {str(path)!r} fails: {type(error).__name__}: {error}") from error
    return [register(task) for task in _tasks_of(module, str(path))]


def _tasks_of(found: ModuleType | Any, where: str) -> list[Task]:
    """The tasks of a module (TASK or TASKS), a task, or a list of tasks."""
    if isinstance(found, ModuleType):
        found = getattr(found, "TASKS", getattr(found, "TASK", None))
    given = list(found) if isinstance(found, (list, tuple)) else [found]
    tasks = [task for task in given if isinstance(task, Task)]
    if not tasks or len(tasks) < len(given):
        raise UserError(f"{where}: expected TASK = Task(...) or TASKS = [Task(...), ...]; found {found!r:.80}")
    return tasks
