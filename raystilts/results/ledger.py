"""What has been done: the attempts of every stage."""

from __future__ import annotations

from pathlib import Path

from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.manifest import Manifest
from raystilts.results.reader import (
    Snapshot,
    read_footers,
    read_parts,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import RunRow, run_from_json, to_rows


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


def _latest(rows: list[RunRow]) -> dict[str, RunRow]:
    """Stage to the last of its rows, which come ordered by attempt."""
    return {row.stage: row for row in rows}
