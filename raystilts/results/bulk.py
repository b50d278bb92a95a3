"""Many attempts at once, such as an imported table: one compacted file each of runs and scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.ledger import Ledger
from raystilts.results.manifest import TABLES, Manifest, load_manifest, publish
from raystilts.results.merge import write_rows, write_score_rows
from raystilts.results.schema import RunRow, ScoreRow, file_name, parse_name, to_table

_TRIES = 5


def write_attempts(results: str | Path | Folder, runs: Sequence[RunRow], scores: Sequence[ScoreRow]) -> int:
    """Records attempts, all of them or (where it is killed) none.

    Attempts whose stage has one of the same `eval_key` already are left out, so that doing it again changes nothing.

    Returns:
        The number of attempts written.

    Raises:
        StorageError: The folder cannot be written.
    """
    folder = open_folder(results)
    for _ in range(_TRIES):
        there = {(row.stage, row.eval_key) for row in Ledger(folder).rows()}
        new = [run for run in runs if (run.stage, run.eval_key) not in there]
        if not new:
            return 0
        if _publish(folder, new, scores):
            return len(new)
    raise StorageError(f"Others keep writing to {folder.url}. Try again later.")


def _publish(folder: Folder, runs: Sequence[RunRow], scores: Sequence[ScoreRow]) -> bool:
    """One attempt; False if another writer has published first."""
    old = load_manifest(folder)
    last = _last_attempts(folder, old)
    numbers = {run.stage: last.get(run.stage, 0) + 1 for run in runs}
    runs = [dataclasses.replace(run, attempt=numbers[run.stage]) for run in runs]
    scores = [dataclasses.replace(s, attempt=numbers[s.stage]) for s in scores if s.stage in numbers]
    generation, parts = old.generation + 1, dict(old.parts)
    parts["scores"] = [*parts["scores"], write_score_rows(folder, generation, to_table("scores", scores))]
    parts["runs"] = [*parts["runs"], write_rows(folder, "runs", generation, to_table("runs", runs), [])]
    names = [file_name(run.stage, run.attempt) for run in runs]
    new = {"runs": names, "scores": names, "decisions": []}
    consumed = {table: sorted({*old.consumed[table], *new[table]}) for table in TABLES}
    return publish(folder, Manifest(generation, parts, consumed))


def _last_attempts(folder: Folder, manifest: Manifest) -> dict[str, int]:
    names = [name for table in ("runs", "scores") for name in folder.names(table)]
    names += [*manifest.consumed["runs"], *manifest.consumed["scores"]]
    last: dict[str, int] = {}
    for stage, attempt in filter(None, map(parse_name, names)):
        last[stage] = max(attempt, last.get(stage, 0))
    return last
