"""Dev is not test: what picks a checkpoint and an arm must not be what is reported."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from raystilts.errors import UserError
from raystilts.planning.resolve import ResolvedStudy, ResolvedTask
from raystilts.tasks import overlap
from raystilts.tasks.loading import fingerprint, read
from raystilts.tasks.source import AnySource, Generated
from raystilts.tasks.task import Task


def check_dev_is_not_test(resolved: ResolvedStudy, folder: Path | None) -> None:
    """Compares the dev and the test items of every target, in each language that has both, by their content.

    Args:
        folder: The data folder; None for the hub, whose data is compared once it is here.

    Raises:
        UserError: more than `overlap.TOLERATED` of a target's test items are in its dev data.
    """
    for target in resolved.targets:
        for language in target.languages:
            if language in target.dev_languages:
                _check(target, language, folder)


def _check(target: ResolvedTask, language: str, folder: Path | None) -> None:
    task = target.task
    if task.dev is None or task.test is None or isinstance(task.dev, Generated):
        return
    try:
        dev, test = (fingerprint(source, language, folder) for source in (task.dev, task.test))
        if not dev.verified or not test.verified:
            return
        shared, rows = _shared(_Pair(task, language, folder), dev.value, test.value)
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

    def items(self, source: AnySource | None) -> list[overlap.Key | None]:
        """What the rows of a split ask."""
        assert source is not None
        rows = read(source, self.language, self.folder, columns=self.task.type.columns())
        return overlap.items(self.task, rows.table)


@lru_cache(maxsize=4096)
def _shared(pair: _Pair, dev: str, test: str) -> tuple[int, int]:
    """Test items that are dev items, and all test items; `dev` and `test` name the content."""
    known = {item for item in pair.items(pair.task.dev) if item is not None}
    asked = [item for item in pair.items(pair.task.test) if item is not None]
    return sum(item in known for item in asked), len(asked)
