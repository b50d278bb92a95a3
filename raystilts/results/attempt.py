"""The scores of one attempt, wherever they are: in a file of their own, or compacted."""

from __future__ import annotations

from pathlib import Path

from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.manifest import load_manifest
from raystilts.results.reader import read_parts, read_tables, retrying
from raystilts.results.schema import ScoreRow, file_name, to_rows


def read_scores(results: str | Path | Folder, stage: str, attempt: int) -> list[ScoreRow]:
    """The scores that an attempt was written with, in any order; none where there is no such attempt.

    Args:
        results: The results folder, a path or a URI.
    """
    folder = open_folder(results)
    return retrying(lambda: _read(folder, stage, attempt))


def _read(folder: Folder, stage: str, attempt: int) -> list[ScoreRow]:
    name = file_name(stage, attempt)
    manifest = load_manifest(folder)
    if name not in manifest.consumed["scores"]:
        if name not in folder.names("scores", f"{stage}-"):
            return []
        table, _ = read_tables(folder, "scores", [name])
        return to_rows(ScoreRow, table)
    rows = to_rows(ScoreRow, read_parts(folder, "scores", manifest.parts["scores"]))
    return [row for row in rows if (row.stage, row.attempt) == (stage, attempt)]
