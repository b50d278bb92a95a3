"""Writing what an attempt found: its scores first, then its run, each whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.manifest import load_manifest
from raystilts.results.schema import (
    DecisionRow,
    RunRow,
    ScoreRow,
    encode_decision,
    encode_run,
    encode_scores,
    file_name,
    parse_name,
)

#: More collisions than drivers that could sensibly share a folder.
_TRIES = 100


def next_attempt(results: str | Path | Folder, stage: str) -> int:
    """The number of the next attempt at a stage, 1 for the first.

    Attempts that were killed between their two files count, and compacted ones do.
    """
    folder = open_folder(results)
    consumed = load_manifest(folder).consumed
    names = [*consumed["runs"], *consumed["scores"]]
    names += [n for table in ("runs", "scores") for n in folder.names(table, f"{stage}-")]
    parsed = [p for p in map(parse_name, names) if p is not None]
    return 1 + max((attempt for key, attempt in parsed if key == stage), default=0)


def write_attempt(results: str | Path | Folder, run: RunRow, scores: Sequence[ScoreRow]) -> RunRow:
    """Records one attempt. Where its run can be seen, its scores are complete.

    Writing the same rows again changes nothing. Where another writer has taken the attempt's
    number, the next free one is used, so that no result is lost or overwritten.

    Args:
        results: The results folder, a path or a URI.
        run: The attempt.
        scores: Its scores, all with the run's `stage` and `attempt`.

    Returns:
        The run as it was written: `attempt` may be higher.

    Raises:
        ValueError: A score belongs to another stage or attempt.
        StorageError: The folder cannot be written.
    """
    folder = open_folder(results)
    for score in scores:
        if (score.stage, score.attempt) != (run.stage, run.attempt):
            raise ValueError(
                f"A score of stage {score.stage!r}, attempt {score.attempt}, was given with the "
                f"run of stage {run.stage!r}, attempt {run.attempt}."
            )
    for _ in range(_TRIES):
        if _write_pair(folder, run, scores):
            return run
        attempt = max(run.attempt + 1, next_attempt(folder, run.stage))
        run = dataclasses.replace(run, attempt=attempt)
        scores = [dataclasses.replace(score, attempt=attempt) for score in scores]
    raise StorageError(
        f"No attempt number of stage {run.stage} is free in {folder.url}: other drivers keep "
        "taking them. Run one driver per results folder."
    )


def write_decision(results: str | Path | Folder, decision: DecisionRow) -> bool:
    """Records a decision; False if the same one (whenever taken) is already there."""
    folder = open_folder(results)
    name, data = encode_decision(decision)
    if name in load_manifest(folder).consumed["decisions"]:
        return False
    return folder.write(f"decisions/{name}", data)


def _write_pair(folder: Folder, run: RunRow, scores: Sequence[ScoreRow]) -> bool:
    name = file_name(run.stage, run.attempt)
    consumed = load_manifest(folder).consumed
    if name in consumed["runs"] or name in consumed["scores"]:
        return False
    data = encode_scores(run.stage, run.attempt, scores)
    return _create(folder, f"scores/{name}", data) and _create(folder, f"runs/{name}", encode_run(run))


def _create(folder: Folder, name: str, data: bytes) -> bool:
    """Writes a new file; True also if it is there with the same bytes."""
    if folder.write(name, data):
        return True
    try:
        return folder.read(name) == data
    except FileNotFoundError:  # Compacted and cleaned up in between.
        return False
