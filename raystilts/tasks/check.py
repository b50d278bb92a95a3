"""Looks through a task's data: what is wrong with it, and what a guess gets that never reads the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raystilts.errors import UserError
from raystilts.tasks.loading import is_here
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import AnySource
from raystilts.tasks.task import EVERY_LANGUAGE, Task, rows_item_hashes

SplitName = Literal["train", "dev", "test", "pool"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One split of a task in one language.

    Attributes:
        rows: How many rows were looked at; 0 where there are none here.
        absent: Whether there is no data of it here.
        faults: What is wrong, in words.
    """

    split: SplitName
    language: str
    rows: int = 0
    absent: bool = False
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What a look through a task's data found.

    Attributes:
        parts: Every split in every language that the task declares.
    """

    task: str
    parts: tuple[Checked, ...] = field(default_factory=tuple)

    @property
    def faults(self) -> tuple[str, ...]:
        """All faults, each with its split and language."""
        return tuple(f"{part.split} {part.language}: {fault}" for part in self.parts for fault in part.faults)

    @property
    def here(self) -> tuple[Checked, ...]:
        """The parts that have data here."""
        return tuple(part for part in self.parts if not part.absent)


def check_task(task: Task, data_dir: Path | None) -> TaskReport:
    """Reads every split of a task in every language, and looks at every row.

    Told are: data that cannot be read, missing columns, labels that are not the task's, answers that
    are not where they are said to be, empty texts, items of the training data that come again in dev
    or test data of its language, and whatever else the task's type asks of its rows. Data that is
    not here is no fault.

    Args:
        task: The task.
        data_dir: The data folder; None for `RAYSTILTS_DATA_DIR`, or else the hub.
    """
    trained: set[int] = set()
    parts = []
    for split, source, language in declared(task):
        if not is_here(source, language, data_dir):
            parts.append(Checked(split, language, absent=True))
            continue
        try:
            if split == "train":
                rows = task.read_train(language, data_dir)
            else:
                rows = task.read_split(split, language, data_dir)
            faults = [rows.located(fault) for fault in task.type.check(rows.table, language)]
            items = _items(task, rows.table)
        except UserError as error:
            parts.append(Checked(split, language, faults=(str(error),)))
            continue
        if split == "train":
            trained.update(items.tolist())
        elif language in task.train_languages:  # in another language the same words are another item
            faults += _repeated(items, trained)
        parts.append(Checked(split, language, rows.table.num_rows, faults=tuple(faults)))
    return TaskReport(task.name, tuple(parts))


def declared(task: Task) -> Iterator[tuple[SplitName, AnySource, str]]:
    """Every split of a task in every language, the training data first."""
    if task.train is not None:
        yield from (("train", task.train, language) for language in task.train_languages)
    if task.dev is not None:
        yield from (("dev", task.dev, language) for language in task.dev_languages)
    if task.test is not None:
        yield from (("test", task.test, language) for language in task.languages)
    if task.pool is not None:
        yield ("pool", task.pool, EVERY_LANGUAGE)


def _items(task: Task, rows: pa.Table) -> NDArray[np.uint64]:
    try:
        return rows_item_hashes(task, rows)
    except (TypeError, UnicodeDecodeError):  # values that have no JSON, which the type has told
        return np.zeros(0, dtype=np.uint64)


def _repeated(items: NDArray[np.uint64], trained: set[int]) -> list[str]:
    where = [i for i, item in enumerate(items.tolist()) if item in trained]
    if not where:
        return []
    shown = ", ".join(map(str, where[:5])) + (", ..." if len(where) > 5 else "")
    return [f"in the training data too: {len(where)} row{'s' if len(where) > 1 else ''} ({shown})"]


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
