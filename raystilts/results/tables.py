"""The ledger as DuckDB views: `runs`, `scores`, `finals`, `decisions`, compacted and raw together.

`finals` has a row for each attempt, scored task, split and metric, with its final main scores in one list: questions
about results read this small table and not the long one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import duckdb

from raystilts.errors import StorageError
from raystilts.filesystem import Folder
from raystilts.results.ledger import Ledger
from raystilts.results.reader import (
    COMPACTED,
    TABLES,
    Snapshot,
    VanishedError,
    connect,
    finals_name,
    local_paths,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import (
    Table,
    defaults_of,
    sql_columns,
    to_table,
)

if TYPE_CHECKING:
    import pandas as pd


#: Columns of `finals`, see `final_scores`.
FINAL_COLUMNS = """
stage varchar, attempt bigint, target varchar, target_fraction double, split varchar, metric varchar,
languages varchar, mean double, numbers double[]
"""


def from_files(paths: list[str], *, by_name: bool) -> list[str]:
    """A source of rows over Parquet files; none without files.

    Args:
        by_name: The files may have different columns (which takes longer).
    """
    if not paths:
        return []
    shown = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    return [f"from read_parquet([{shown}], union_by_name = {str(by_name).lower()})"]


def rows_of(table: Table, sources: list[str]) -> str:
    """A query for all rows of some sources, with the columns of this schema version."""
    columns, defaults = sql_columns(table), defaults_of(table)
    empty = ", ".join(f'null::{kind} as "{name}"' for name, kind in columns.items())
    wanted = [
        f"""coalesce("{name}", '{defaults[name]}') as "{name}\"""" if defaults.get(name) else f'"{name}"'
        for name in columns
    ]
    rows = " union all by name ".join(f"({source})" for source in [f"select {empty} where false", *sources])
    return f"select {', '.join(wanted)} from ({rows})"


def final_scores(source: str) -> str:
    """A query for rows of `finals` from those of a source of `scores`.

    One row for each attempt, scored task, split and metric: its languages, joined by commas, their final main
    scores, and the mean of these, so that questions about means need not read them all.
    """
    # Languages and scores are sorted once, as one list: an ordered aggregate for each would hold the rows twice.
    return f"""
    select * exclude (pairs), array_to_string([one.language for one in pairs], ',') as languages,
        list_avg([one.value for one in pairs]) as mean, [one.value for one in pairs] as numbers
    from (
        select stage, attempt, target, target_fraction, split, metric,
            list_sort(list({{'language': language, 'value': value}})) as pairs
        from ({source}) where is_final and is_main group by all
    )
    """


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


def in_view(frame: pd.DataFrame, first: Sequence[str], last: Sequence[str]) -> pd.DataFrame:
    """The same columns, with those that a reader looks for at the ends: a print in 80 columns leaves out the middle."""
    ends = [*first, *last]
    middle = [name for name in frame.columns if name not in ends]
    there = set(frame.columns)
    return frame[[*(n for n in first if n in there), *middle, *(n for n in last if n in there)]]


def to_frame(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, object]) -> pd.DataFrame:
    """The rows of a query with its parameters."""
    import pandas as pd
    import pyarrow as pa

    # Columns keep their type where a value is missing: null seeds do not turn seeds into floats.
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = (
        connection.sql(query, params=values or None).to_arrow_table().to_pandas(types_mapper=types.get)
    )
    return frame
