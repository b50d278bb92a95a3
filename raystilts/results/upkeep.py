"""Compaction while a study runs: now and then when many files have gathered, and at its end."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from raystilts.errors import StorageError
from raystilts.results.compact import clean_up, compact
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.reader import ResultsWarning

#: Attempts that are not compacted before a compaction is worth its time (each has two files).
MANY = 1000
#: Seconds between looks.
PAUSE = 60.0
#: Seconds for which readers at work may still want files that were merged.
_GRACE = 600.0


@contextmanager
def compacting(results: str | Path | Folder, *, many: int = MANY, pause: float = PAUSE) -> Iterator[None]:
    """Compacts beside the block whenever `many` attempts have gathered, and after it, if it ends well.

    What goes wrong is a warning: the raw files are complete without compaction.

    Args:
        results: The results folder.
        many: Attempts before a compaction.
        pause: Seconds between looks.
    """
    folder = open_folder(results)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(pause):
            _tidy(folder, many, _GRACE)

    thread = threading.Thread(target=watch, name="raystilts-compaction", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
    thread.join()
    _tidy(folder, 1, 0.0)


def _tidy(folder: Folder, many: int, grace: float) -> None:
    try:
        if len(folder.names("runs")) >= many:
            compact(folder)
            clean_up(folder, older_than=grace)
    except (StorageError, OSError, duckdb.Error) as error:
        warnings.warn(
            f"The results were not compacted ({error}); they are complete all the same.", ResultsWarning, stacklevel=2
        )
