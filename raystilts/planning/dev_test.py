"""Dev is not test: what picks a checkpoint and an arm must not be what is reported, and how much training data is."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from raystilts.errors import UserError
from raystilts.planning.keys import digest
from raystilts.planning.resolve import ResolvedTask
from raystilts.tasks import overlap
from raystilts.tasks.loading import fingerprint, read
from raystilts.tasks.source import AnySource, Source
from raystilts.tasks.task import Task

#: Raised where `shared_rows` counts otherwise: then what is stored is counted anew.
SHARED_RECIPE = 1


def check_dev_is_not_test(targets: Iterable[ResolvedTask], folder: Path | None) -> None:
    """Compares the dev and the test items of every target, in each language that has both, by their content.

    Args:
        folder: The data folder; None for the hub, whose data is compared once it is here.

    Raises:
        UserError: more than `overlap.TOLERATED` of a target's test items are in its dev data.
    """
    for target in targets:
        for language in target.languages:
            if language in target.dev_languages:
                _check(target, language, folder)


def shared_rows(target: ResolvedTask, folder: Path | None) -> list[dict[str, Any]]:
    """How many of a target's test rows are in its training or dev data too, by content; nothing where none are.

    Returns:
        For the training and the dev data of each language of the target the fields of
        `results.task_facts.SharedRows`. Only data that is here is compared, each language with itself.
    """
    found: list[dict[str, Any]] = []
    for split, language, earlier, test in _compared(target, folder):
        items, texts, rows = _shared(_Pair(target.task, language, folder), earlier, test, split)
        if items or texts:
            found.append({"split": split, "language": language, "items": items, "texts": texts, "rows": rows})
    return found


def shared_rows_key(target: ResolvedTask, folder: Path | None) -> str:
    """Names what `shared_rows` compares: where it is equal, so is the outcome. Reads no rows."""
    return digest([SHARED_RECIPE, repr(target.task.type), *_compared(target, folder)])


def _compared(target: ResolvedTask, folder: Path | None) -> list[tuple[str, str, str, str]]:
    """An earlier split, the language, and what tells the content of that split and of the test data; of data here."""
    found = []
    for split, languages in (("train", target.task.train_languages), ("dev", target.dev_languages)):
        for language in (one for one in target.languages if one in languages):
            if (content := _content(target.task, split, language, folder)) is not None:
                found.append((split, language, *content))
    return found


def _content(task: Task, split: str, language: str, folder: Path | None) -> tuple[str, str] | None:
    """What tells the content of an earlier split and of the test data; None of data elsewhere or made up."""
    earlier = task.train if split == "train" else task.dev
    if not isinstance(earlier, Source) or not isinstance(task.test, Source):
        return None
    one, other = (fingerprint(given, language, folder) for given in (earlier, task.test))
    return (one.value, other.value) if one.verified and other.verified else None


def _check(target: ResolvedTask, language: str, folder: Path | None) -> None:
    try:
        content = _content(target.task, "dev", language, folder)
        if content is None:
            return
        shared, _, rows = _shared(_Pair(target.task, language, folder), *content, "dev")
    except UserError as error:
        raise UserError(f"{target.place}: {error}") from None
    except UnicodeDecodeError:  # told with file and row by the check of the rows
        return
    if overlap.too_many(shared, rows):
        raise UserError(
            f"{target.place}: {shared:,} of {rows:,} {language} test items are its dev items too, which pick the "
            "checkpoint and the arm; give the task a dev split of its own, such as TRAIN.cut(share=0.1, by=(...))"
        )


class _Pair:
    """A task's two splits in a language; equal to every other, so that content alone tells what was compared."""

    def __init__(self, task: Task, language: str, folder: Path | None) -> None:
        self.task, self.language, self.folder = task, language, folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pair) and self.task.type == other.task.type

    def __hash__(self) -> int:
        return hash(self.task.type)

    def rows(self, source: AnySource | None) -> pa.Table:
        """The rows of a split."""
        assert source is not None
        return read(source, self.language, self.folder, columns=self.task.type.columns()).table


@lru_cache(maxsize=4096)
def _shared(pair: _Pair, earlier: str, test: str, split: str) -> tuple[int, int, int]:
    """What the test data has of an earlier split; `earlier` and `test` name the content.

    Returns:
        Test items that are items there, test rows that hold a text of it in whatever company (0 of dev data, where
        they are not counted), and all test items.
    """
    task = pair.task
    before, rows = pair.rows(task.train if split == "train" else task.dev), pair.rows(task.test)
    items = len(overlap.shared_items(task, overlap.items(task, before), rows))
    texts = len(overlap.shared_texts(task, overlap.texts(task, before), rows)) if split == "train" else 0
    return items, texts, sum(item is not None for item in overlap.items(task, rows))
