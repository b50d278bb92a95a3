"""The ledger as DuckDB views: `runs`, `scores`, `finals`, `decisions`, compacted and raw together.

`finals` has a row for each attempt, scored task, split and metric, with its final main scores in one list: questions
about results read this small table and not the long one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import duckdb

from raystilts.errors import StorageError
from raystilts.results.database import connect
from raystilts.results.filesystem import Folder
from raystilts.results.ledger import Ledger
from raystilts.results.manifest import COMPACTED, TABLES, finals_name
from raystilts.results.reader import (
    Snapshot,
    VanishedError,
    local_paths,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import Table, to_table
from raystilts.results.sql import FINAL_COLUMNS, final_scores, from_files, rows_of

T = TypeVar("T")


class Tables:
    """Queries over a results folder. Files already looked at are not looked at again.

    Args:
        folder: The results folder.

    Attributes:
        moment: Goes up whenever a question sees something new; 0 before the first.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.ledger = Ledger(folder)
        self.moment = 0
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._snapshot: Snapshot | None = None
        self._versions: dict[Table, dict[str, str]] = {"scores": {}, "decisions": {}}
        self._bad: dict[Table, set[str]] = {"scores": set(), "decisions": set()}
        self._loaded: set[str] = set()

    def query(self, ask: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Calls `ask` with a connection that sees one moment of the folder.

        Args:
            ask: May be called again: where a file was compacted away or proved to be damaged.
        """
        with self._lock:
            return retrying(lambda: self._query(ask))

    def _query(self, ask: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        # Scores are written before their run and listed after it: those of every run listed are listed.
        snapshot = take_snapshot(self.folder, self._snapshot.manifest if self._snapshot else None)
        try:
            if self._connection is None or snapshot != self._snapshot:
                self._snapshot = None
                self._refresh(snapshot)
                self._snapshot = snapshot
                self.moment += 1
            assert self._connection is not None
            return ask(self._connection)
        except duckdb.Error as error:
            self._snapshot = None
            self._explain(snapshot, error)
            raise

    def _refresh(self, snapshot: Snapshot) -> None:
        """Makes the views show a snapshot."""
        if self._connection is None:
            self._connection = connect()
            self._connection.execute("set TimeZone = 'UTC'")
            self._connection.execute(f"create temp table raw_finals ({FINAL_COLUMNS})")
            self._loaded = set()
        raw_runs = self.ledger.raw_rows(snapshot)
        sources = self._parts(snapshot, "runs")
        if raw_runs:
            self._connection.register("raw_runs", to_table("runs", raw_runs))
            sources.append("from raw_runs")
        self._create_view("runs", sources)
        for table in ("scores", "decisions"):
            self._check(snapshot, table)
            self._create_view(table, [*self._parts(snapshot, table), *self._raw(snapshot, table)])
        self._load_finals(snapshot)

    def _create_view(self, table: Table, sources: list[str]) -> None:
        assert self._connection is not None
        self._connection.execute(f"create or replace temp view {table} as {rows_of(table, sources)}")

    def _parts(self, snapshot: Snapshot, table: Table) -> list[str]:
        return from_files(local_paths(self.folder, COMPACTED, snapshot.manifest.parts[table]), by_name=True)

    def _raw(self, snapshot: Snapshot, table: Table) -> list[str]:
        versions = self._versions[table]
        names = [name for name in snapshot.raw[table] if name in versions]
        mixed = len({versions[name] for name in names}) > 1
        return from_files(local_paths(self.folder, table, names), by_name=mixed)

    def _check(self, snapshot: Snapshot, table: Table) -> None:
        known = self._versions[table].keys() | self._bad[table]
        new = [name for name in snapshot.raw[table] if name not in known]
        good, bad = read_footers(self.folder, table, new)
        self._versions[table] |= {name: footer["schema_version"] for name, footer in good.items()}
        self._leave_out(table, bad)

    def _leave_out(self, table: Table, bad: dict[str, str]) -> None:
        warn_left_out(self.folder, table, bad)
        self._bad[table] |= bad.keys()
        for name in bad:
            self._versions[table].pop(name, None)

    def _load_finals(self, snapshot: Snapshot) -> None:
        """The view `finals`; raw files are read into memory once."""
        assert self._connection is not None
        names = {name for name in snapshot.raw["scores"] if name in self._versions["scores"]}
        if not self._loaded <= names:
            self._connection.execute("delete from raw_finals")
            self._loaded = set()
        if names - self._loaded:
            files = from_files(local_paths(self.folder, "scores", sorted(names - self._loaded)), by_name=False)
            self._connection.execute(f"insert into raw_finals by name {final_scores(files[0])}")
            self._loaded = names
        rest = [p for p in snapshot.manifest.parts["scores"] if finals_name(p) not in snapshot.finals]
        sources = ["from raw_finals", *from_files(local_paths(self.folder, COMPACTED, snapshot.finals), by_name=False)]
        for source in from_files(local_paths(self.folder, COMPACTED, rest), by_name=False):
            sources.append(final_scores(source))
        rows = " union all by name ".join(f"({source})" for source in sources)
        self._connection.execute(f"create or replace temp view finals as {rows}")

    def _explain(self, snapshot: Snapshot, error: duckdb.Error) -> None:
        """Finds the file that stopped a query; raises VanishedError where it can be asked again.

        A footer was fine but not what follows it, or a file has vanished.
        """
        if take_snapshot(self.folder) != snapshot:
            raise VanishedError(str(error)) from error
        found = False
        for table in ("scores", "decisions"):
            names = [name for name in snapshot.raw[table] if name in self._versions[table]]
            _, bad = read_tables(self.folder, table, names)
            self._leave_out(table, bad)
            found = found or bool(bad)
        if found:
            self._connection = None
            raise VanishedError(str(error)) from error
        for table in TABLES:
            read_parts(self.folder, table, snapshot.manifest.parts[table])
        if isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
            raise StorageError(f"{self.folder.url} cannot be read: {error}") from error
