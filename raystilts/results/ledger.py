"""What has been done: the attempts of every stage, written once and read by whoever goes on.

An attempt is written scores first, then its run, each whole or not at all: where its run can be seen, its scores are
complete. Both are files of their own, or compacted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from raystilts.errors import StorageError
from raystilts.filesystem import Folder, open_folder
from raystilts.results.reader import (
    Manifest,
    Snapshot,
    load_manifest,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import (
    DecisionRow,
    RunRow,
    ScoreRow,
    encode_decision,
    encode_run,
    encode_scores,
    file_name,
    parse_name,
    run_from_json,
)

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", RunRow, ScoreRow, DecisionRow)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: More collisions than drivers that could sensibly share a folder.
_TRIES = 100


class Ledger:
    """The runs in a results folder. Every call sees what has been written so far.

    A run counts only if the file of its scores is there too. Files already read are not read
    again, so that asking often is cheap. A folder that does not exist yet holds nothing.

    Args:
        results: The results folder, a path or a URI.
    """

    def __init__(self, results: str | Path | Folder) -> None:
        self.folder = open_folder(results)
        self._raw: dict[str, RunRow] = {}
        self._bad: set[str] = set()
        self._parts: dict[str, list[RunRow]] = {}
        self._manifest: Manifest | None = None

    def rows(self) -> list[RunRow]:
        """Every attempt, ordered by stage and attempt."""
        return retrying(self._read)

    def finished(self) -> dict[str, RunRow]:
        """Stage to its latest finished attempt."""
        return _latest([row for row in self.rows() if row.status == "finished"])

    def failed(self) -> dict[str, RunRow]:
        """Stage to its latest attempt, for stages that never finished and failed last."""
        return self._unfinished("failed", None)

    def stopped(self, study: str | None = None) -> dict[str, RunRow]:
        """Stage to its latest attempt, for stages that never finished and were stopped last.

        Args:
            study: Look at this study's attempts only: that one study has stopped a stage says
                nothing about another. (A stage that any study has finished is finished.)
        """
        return self._unfinished("stopped", study)

    def paused(self) -> dict[str, RunRow]:
        """Stage to its latest paused attempt, for stages that never finished."""
        rows = self.rows()
        done = {row.stage for row in rows if row.status == "finished"}
        return _latest([row for row in rows if row.stage not in done and row.status == "paused"])

    def attempts(self, stage: str) -> list[RunRow]:
        """The attempts at one stage, oldest first."""
        return [row for row in self.rows() if row.stage == stage]

    def raw_rows(self, snapshot: Snapshot) -> list[RunRow]:
        """Attempts that are not compacted.

        Raises:
            VanishedError: A file of the snapshot is no longer there.
        """
        self._read_raw(snapshot)
        return [self._raw[name] for name in self._complete(snapshot)]

    def _unfinished(self, status: str, study: str | None) -> dict[str, RunRow]:
        rows = self.rows()
        done = {row.stage for row in rows if row.status == "finished"}
        asked = [r for r in rows if r.stage not in done and study in (None, r.study)]
        return {stage: r for stage, r in _latest(asked).items() if r.status == status}

    def _read(self) -> list[RunRow]:
        snapshot = take_snapshot(self.folder, self._manifest)
        self._read_parts(snapshot)
        self._read_raw(snapshot)
        parts = snapshot.manifest.parts["runs"]
        rows = [row for part in parts for row in self._parts[part]]
        rows += [self._raw[name] for name in self._complete(snapshot)]
        self._manifest = snapshot.manifest
        return sorted(rows, key=lambda row: (row.stage, row.attempt, row.ended_at))

    def _read_parts(self, snapshot: Snapshot) -> None:
        for part in snapshot.manifest.parts["runs"]:
            if part not in self._parts:
                rows = read_parts(self.folder, "runs", [part])
                self._parts[part] = to_rows(RunRow, rows)

    def _read_raw(self, snapshot: Snapshot) -> None:
        known = self._raw.keys() | self._bad
        new = [name for name in snapshot.raw["runs"] if name not in known]
        footers, bad = read_footers(self.folder, "runs", new)
        rows: dict[str, RunRow] = {}
        for name, footer in footers.items():
            try:
                rows[name] = run_from_json(footer["row"])
            except (KeyError, TypeError, ValueError):
                bad[name] = "the row in its footer is not a run"
        warn_left_out(self.folder, "runs", bad)
        self._raw |= rows
        self._bad |= bad.keys()

    def _complete(self, snapshot: Snapshot) -> list[str]:
        """Raw runs that can be read and have scores; the scores of others were lost or moved."""
        scored = {*snapshot.raw["scores"], *snapshot.manifest.consumed["scores"]}
        mine = [name for name in snapshot.raw["runs"] if name in self._raw]
        lost = {name: "the file of its scores is missing" for name in mine if name not in scored}
        warn_left_out(self.folder, "runs", lost)
        return [name for name in mine if name in scored]


def to_rows(kind: type[R], table: pa.Table) -> list[R]:
    """The rows of an Arrow table with this table's columns."""
    names = table.column_names
    return [
        kind(**dict(zip(names, values, strict=True)))
        for values in zip(*(_values(table[name]) for name in names), strict=True)
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column; pyarrow would load pandas for times, which takes as long as many a question."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    micros = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return [None if one is None else _EPOCH + timedelta(microseconds=one) for one in micros]


def counting(rows: Iterable[RunRow]) -> dict[str, RunRow]:
    """Stage to the attempt that counts, as in `queries.views`: its latest finished one, else its latest.

    Args:
        rows: In the order of `Ledger.rows`.
    """
    return _latest(sorted(rows, key=lambda row: row.status == "finished"))


def _latest(rows: Iterable[RunRow]) -> dict[str, RunRow]:
    """Stage to the last of its rows, which come ordered by attempt."""
    return {row.stage: row for row in rows}


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
