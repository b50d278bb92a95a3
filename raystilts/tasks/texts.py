"""The texts of a task's items, whatever its type: what a data set is about, without its answers and its format."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from raystilts.tasks.task import Task
from raystilts.tasks.types.columns import column
from raystilts.tasks.types.retrieval import Retrieval


def item_texts(task: Task, rows: pa.Table) -> list[str]:
    """One text an item: its strings in the order of the columns, joined by spaces, without separators or labels.

    Items that share their longest string (questions on one paragraph) count once: they are no independent texts. Of
    pairs of translations only the foreign side is read.
    """
    found: dict[str, str] = {}
    for strings in zip(*(column(rows, name) for name in _columns(task)), strict=True):
        parts = [part for value in strings for part in _strings(value)]
        if parts:
            found.setdefault(max(parts, key=len), " ".join(parts))
    return list(found.values())


def plain_text(task: Task, rows: pa.Table) -> pa.Table:
    """The same texts as rows of one column `text`."""
    return pa.table({"text": pa.array(item_texts(task, rows), pa.string())})


def spread_sample(texts: list[str], count: int, part: int, parts: int) -> list[str]:
    """At most `count` texts; those of different parts stand at different places of their lists.

    Parallel data sets have the same items at the same places in every language: so no item is taken twice.

    Args:
        part: Which part, from 0 to `parts` - 1.
    """
    order = np.random.default_rng([41, len(texts)]).permutation(len(texts))
    share = len(texts) // parts
    return [texts[i] for i in order[part * share : (part + 1) * share][:count]]


def _columns(task: Task) -> tuple[str, ...]:
    return (task.type.candidate,) if isinstance(task.type, Retrieval) else task.type.item_columns()


def _strings(value: Any) -> list[str]:
    """The strings of a cell: of choices with names only the texts."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, dict):
        return _strings(value.get("text"))
    if isinstance(value, list):
        words = [part for one in value for part in _strings(one)]
        return [" ".join(words)] if words else []
    return []
