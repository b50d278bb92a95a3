"""Looks through a task's data: what is wrong with it, and what a guess gets that never reads the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks import overlap
from raystilts.tasks.loading import is_here, why_absent
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import AnySource
from raystilts.tasks.task import EVERY_LANGUAGE, Task

SplitName = Literal["train", "dev", "test", "pool"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One split of a task in one language.

    Attributes:
        rows: How many rows were looked at; 0 where there are none here.
        absent: Whether there is no data of it here.
        faults: What is wrong, in words.
        notes: What is worth knowing and not wrong: texts that the training data has too, in other items.
    """

    split: SplitName
    language: str
    rows: int = 0
    absent: bool = False
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


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
    def notes(self) -> tuple[str, ...]:
        """All notes, each with its split and language."""
        return tuple(f"{part.split} {part.language}: {note}" for part in self.parts for note in part.notes)

    @property
    def here(self) -> tuple[Checked, ...]:
        """The parts that have data here."""
        return tuple(part for part in self.parts if not part.absent)


def check_task(task: Task, data_dir: Path | None) -> TaskReport:
    """Reads every split of a task in every language, and looks at every row.

    Told are: data that cannot be read, missing columns, labels that are not the task's, answers that are not where they
    are said to be, empty texts, items that come again in dev or test data of the same language, and whatever else the
    task's type asks of its rows. Texts that come again in other items are noted, and so are a few test items in dev
    data. Data that is not here is no fault.

    Args:
        task: The task.
        data_dir: The data folder; None for `RAYSTILTS_DATA_DIR`, or else the hub.
    """
    earlier = _Earlier(task)
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
            _own_score(task)
            faults = [rows.located(fault) for fault in task.type.check(rows.table, language)]
            again, notes = earlier.compared(split, language, rows.table)
            faults += again
            notes += _moved(rows.table)
        except UserError as error:
            parts.append(Checked(split, language, faults=(str(error),)))
            continue
        parts.append(Checked(split, language, rows.table.num_rows, faults=tuple(faults), notes=tuple(notes)))
    return TaskReport(task.name, tuple(parts))


def _own_score(task: Task) -> None:
    """Refuses a main score that the task's type does not give."""
    known = task.type.metrics
    if task.main_score not in known:
        raise UserError(f"main_score {task.main_score!r} is no score of it; {did_you_mean(task.main_score, known)}")


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


def refusal(task: Task, data_dir: Path | None) -> str:
    """What a study on the task and all its languages is refused with for want of a part, the rest being here.

    Empty where nothing is wanting, and where none of a part's data set is here. Of dev data a study reads those in the
    training language.
    """
    for split, source, language in declared(task):
        needed = split in ("train", "test") or (split == "dev" and language in task.train_languages)
        if needed and (why := why_absent(source, language, data_dir)):
            return why
    return ""


class _Earlier:
    """The items and texts of the splits that were looked at, by split and language."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._items: dict[tuple[str, str], set[overlap.Key | None]] = {}
        self._texts: dict[str, list[tuple[overlap.Key, ...]]] = {}

    def compared(self, split: str, language: str, rows: pa.Table) -> tuple[list[str], list[str]]:
        """Faults and notes on rows that earlier splits of the language have too; the rows are remembered."""
        try:
            notes = [*self._in_dev(split, language, rows), *self._with_texts(split, language, rows)]
            found = self._faults(split, language, rows), notes
            self._add(split, language, rows)
        except (TypeError, UnicodeDecodeError):  # values that cannot be compared, which the type has told
            return [], []
        return found

    def _add(self, split: str, language: str, rows: pa.Table) -> None:
        """In another language the same words are another item."""
        if split in ("train", "dev"):
            self._items[split, language] = {*overlap.items(self.task, rows)}
        if split == "train":
            self._texts[language] = overlap.texts(self.task, rows)

    def _faults(self, split: str, language: str, rows: pa.Table) -> list[str]:
        found = []
        for earlier, what in (("train", "the training data"), ("dev", "the dev data")):
            again = overlap.shared_items(self.task, self._items.get((earlier, language), ()), rows)
            if earlier != split and (earlier == "train" or overlap.too_many(len(again), rows.num_rows)):
                found += _again(what, again)
        return found

    def _in_dev(self, split: str, language: str, rows: pa.Table) -> list[str]:
        """Test items that are dev items, where they are too few for a fault."""
        if split != "test":
            return []
        again = overlap.shared_items(self.task, self._items.get(("dev", language), ()), rows)
        few = again and not overlap.too_many(len(again), rows.num_rows)
        return [f"{len(again):,} of {rows.num_rows:,} rows are in the dev data too"] if few else []

    def _with_texts(self, split: str, language: str, rows: pa.Table) -> list[str]:
        if split == "train" or language not in self._texts:
            return []
        again = overlap.shared_texts(self.task, self._texts[language], rows)
        if not again:
            return []
        what = " or ".join(repr(name) for name in self.task.type.text_columns())
        return [f"{len(again):,} of {rows.num_rows:,} rows hold a {what} of the training data"]


def _moved(rows: pa.Table) -> list[str]:
    """How many rows have answers that a conversion moved."""
    moved = sum(1 for number in rows["moved"].to_pylist() if number) if "moved" in rows.column_names else 0
    told = f"{moved:,} of {rows.num_rows:,} rows had an answer beside its place: moved to the nearest"
    return [told] if moved else []


def _again(where: str, rows: tuple[int, ...]) -> list[str]:
    if not rows:
        return []
    shown = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return [f"in {where} too: {len(rows)} row{'s' if len(rows) > 1 else ''} ({shown})"]


@cache
def constant_score(
    name: str, language: str, limit: int | None, folder: Path | None, metric: str | None = None
) -> float:
    """The best score that a constant answer gets on a task's dev data; 0 where none scores.

    Args:
        limit: Dev examples that are scored; None for all.
        folder: The data folder; None for the hub.
        metric: The score; default the task's main one.
    """
    task = get_task(name).by_metric(metric)
    rows = task.type.sample(task.load_dev(language, folder), limit)
    scores = [task.type.score(guess, rows, language) for guess in task.type.constant_predictions(rows)]
    return max((score[task.main_score] for score in scores), default=0.0)
