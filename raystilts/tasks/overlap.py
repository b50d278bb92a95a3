"""What two sets of rows have in common, by content: the same items, or the same texts in other company."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from raystilts.tasks.task import Task
from raystilts.tasks.types.columns import column

#: Test items that may be dev items too, as a share and as a number: in natural data a sentence comes twice now and
#: then, and of a handful of rows no score means anything.
TOLERATED, TOLERATED_ITEMS = 0.01, 25

#: An item or a text, as something that a set can hold.
Key = object


def items(task: Task, rows: pa.Table) -> list[Key | None]:
    """What each row asks (all columns but the answer); None for rows that ask nothing, such as gold pairs of mining."""
    columns = [column(rows, name) for name in task.type.item_columns()]
    return [tuple(map(_key, row)) if any(value is not None for value in row) else None for row in zip(*columns)]  # noqa: B905


def texts(task: Task, rows: pa.Table) -> list[tuple[Key, ...]]:
    """The texts of each row that may stand in other items too, see `TaskType.text_columns`."""
    return list(zip(*(column(rows, name) for name in task.type.text_columns()), strict=True))


def shared_items(task: Task, seen: Iterable[Key | None], rows: pa.Table) -> tuple[int, ...]:
    """The rows whose item is among those seen."""
    known = {item for item in seen if item is not None}
    return tuple(i for i, item in enumerate(items(task, rows)) if item in known)


def shared_texts(task: Task, seen: Iterable[tuple[Key, ...]], rows: pa.Table) -> tuple[int, ...]:
    """The rows of which a text is among those seen, in whatever company."""
    known = {text for own in seen for text in own}
    return tuple(i for i, own in enumerate(texts(task, rows)) if any(text in known for text in own))


def _key(value: Any) -> Key:
    return value if isinstance(value, (str, int, float, bytes, type(None))) else repr(value)


def too_many(shared: int, rows: int) -> bool:
    """Whether so many of the test items are dev items that scores on test would be of what chose the model."""
    return shared > max(TOLERATED_ITEMS, TOLERATED * rows)
