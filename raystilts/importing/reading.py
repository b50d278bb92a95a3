"""What was read: rows as they stand in a file, and where each came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

#: Columns of every reading beside those of the file: the file, its row from 1, and the column of a wide table.
FILE, ROW, COLUMN = "\x00file", "\x00row", "\x00column"
PLACES = (FILE, ROW, COLUMN)


@dataclass(slots=True)
class Reading:
    """The rows of one source.

    Attributes:
        frame: A row a score (or a wide row), with the columns of `PLACES`.
        shape: What it was taken for, in words.
        files: The files that were read.
        said: What was concluded.
        told: What the layout says of columns, our name to theirs; the user's word goes before it.
        items: Scores of single examples: columns item, score and those of `frame` that name the run.
    """

    frame: pd.DataFrame
    shape: str
    files: list[Path]
    said: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    items: pd.DataFrame | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the file's own columns."""
        return [name for name in self.frame.columns if name not in PLACES]


def placed(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """A table with its places."""
    frame = frame.reset_index(drop=True)
    frame[FILE] = file
    frame[ROW] = frame.index + 1
    frame[COLUMN] = ""
    return frame


def of_records(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of a tree; each record has its file under `FILE`."""
    frame = pd.DataFrame.from_records(list(records))
    if len(frame):
        frame[ROW] = frame.groupby(FILE, sort=False).cumcount() + 1
        frame[COLUMN] = ""
    return frame
