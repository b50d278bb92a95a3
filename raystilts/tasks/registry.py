"""Finds tasks by name: the catalogue, installed packages and a user's own files."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from raystilts.errors import UserError, cut, did_you_mean, first_line, shown
from raystilts.tasks.task import Task

#: The entry point group by which an installed package offers tasks.
ENTRY_POINTS = "raystilts.tasks"

#: Intermediates of study files that are no task: the arm without training, and mixtures.
RESERVED = ("none", "all", "anli_plus")

_TASKS: dict[str, Task] = {}
_SCANNED: set[str] = set()
#: Tasks of the files that this process has run, by path and content.
_LOADED: dict[tuple[Path, str], list[Task]] = {}


def register(task: Task) -> Task:
    """Makes a task known by its name; the same task again is no error.

    Raises:
        UserError: If another task has that name, the name holds an "@", or it is one of `RESERVED`.
    """
    if task.main_score not in task.type.metrics:
        kind, others = task.type, [name for name in task.type.optional_metrics if name not in task.type.metrics]
        hint = did_you_mean(task.main_score, [*kind.metrics, *others])
        if task.main_score in others:
            hint = f"give the type averages=({task.main_score!r},), and it is one"
        raise UserError(f"task {task.name!r}: main_score: {shown(task.main_score)} is no score of its type; {hint}")
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
        raise UserError(f"task {shown(name)} is unknown; {did_you_mean(base, tasks)}")
    if "@" in name and not all(codes.split("+")):
        raise UserError(f"task {name!r}: no language after '@'; write {base}@de or {base}@sw+hi")
    if len(set(codes.split("+"))) < len(codes.split("+")):
        raise UserError(f"task {name!r}: a language is given twice; name each once")
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
            reason = _problem(error) if isinstance(error, ValidationError) else first_line(error)
            raise UserError(f"entry point {entry.name!r} ({entry.value}) cannot be loaded: {reason}") from error
        for task in _tasks_of(loaded, entry.value):
            register(task)


def load_task_file(path: str | Path) -> list[Task]:
    """Runs a user's own Python file with a `TASK` or `TASKS`, and registers what it defines.

    Raises:
        UserError: If there is no such file, it fails, or it defines no task.
    """
    if not _is_python_file(path):
        raise UserError(
            f"task file: {shown(str(path))} is not a Python file; give a .py file that sets TASK = Task(...)"
        )
    file = Path(path).expanduser()
    key = (file.absolute(), hashlib.sha256(file.read_bytes()).hexdigest())
    if key not in _LOADED:  # run again, its classes would be others, and its tasks other tasks of the same name
        _LOADED[key] = _tasks_of_file(file, str(path))
    try:
        return [register(task) for task in _LOADED[key]]
    except UserError as error:
        raise UserError(f"task file {str(path)!r}: {error}") from None


def _tasks_of_file(file: Path, named: str) -> list[Task]:
    spec = importlib.util.spec_from_file_location(f"raystilts_task_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        where = _where(error, file)
        raise UserError(f"task file {where} ends the program (SystemExit); take that out: it is imported") from error
    except ValidationError as error:
        raise UserError(f"task file {_where(error, file)}: {error.title}: {_problem(error)}") from error
    except Exception as error:
        raise UserError(
            f"task file {_where(error, file)} fails: {type(error).__name__}: {first_line(error)}"
        ) from error
    try:
        return _tasks_of(module, named)
    except UserError as error:
        raise UserError(f"task file {named!r}: {error}") from None


def _is_python_file(path: str | Path) -> bool:
    try:
        file = Path(path).expanduser()
        return file.suffix == ".py" and file.is_file()
    except (OSError, RuntimeError, ValueError):  # no home folder, a NUL, a name that is too long
        return False


def _where(error: BaseException, file: Path) -> str:
    """A task file, and the line of it at which an error came."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(file):
            line = frame.lineno
    return repr(str(file)) + (f", line {line}," if line else "")


def _problem(error: ValidationError) -> str:
    """The first problem of a model's fields, in one line with its place and what was given."""
    problems = error.errors()
    problem = problems[0]
    place = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if problem["type"] in ("missing", "value_error") else f" (given: {shown(problem['input'])})"
    more = f" [and {len(problems) - 1} more]" if len(problems) > 1 else ""
    if place.startswith("labels") and problem["type"] in ("string_type", "too_short"):
        message = "give the names of all classes as texts, at least two: labels=(\"no\", \"yes\")"
    if problem["type"] == "extra_forbidden":
        message, given = f"no such field; {did_you_mean(str(problem['loc'][-1]), Task.model_fields)}", ""
    return f"{place}: {cut(message, 200)}{given}{more}"


def _tasks_of(found: ModuleType | Any, where: str) -> list[Task]:
    """The tasks of a module (TASK or TASKS), a task, or a list of tasks."""
    if isinstance(found, ModuleType):
        found = getattr(found, "TASKS", getattr(found, "TASK", None))
    given = list(found) if isinstance(found, (list, tuple)) else [found]
    tasks = [task for task in given if isinstance(task, Task)]
    if not tasks or len(tasks) < len(given):
        raise UserError(f"{where}: expected TASK = Task(...) or TASKS = [Task(...), ...]; found {shown(found, 80)}")
    return tasks
