"""The ledger as DuckDB views: `runs`, `scores`, `decisions`, compacted and raw together."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pyarrow as pa

from raystilts.results.filesystem import Folder
from raystilts.results.ledger import Ledger
from raystilts.results.manifest import COMPACTED
from raystilts.results.reader import (
    Snapshot,
    local_paths,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import Table, schema_of, to_table


class Tables:
    """Queries over a results folder.

    Args:
        folder: The results folder.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.ledger = Ledger(folder)
        self._good: dict[Table, set[str]] = {"scores": set(), "decisions": set()}
        self._bad: dict[Table, set[str]] = {"scores": set(), "decisions": set()}

    def query(self, ask: Callable[[duckdb.DuckDBPyConnection], pa.Table]) -> pa.Table:
        """Calls `ask` with a connection that sees one moment of the folder.

        Args:
            ask: May be called again: where a file was compacted away or proved to be damaged.
        """
        return retrying(lambda: self._query(ask))

    def _query(self, ask: Callable[[duckdb.DuckDBPyConnection], pa.Table]) -> pa.Table:
        # Runs come first: scores are written before their run, so that those of every run
        # listed here are listed below.
        runs = to_table("runs", self.ledger.rows())
        snapshot = take_snapshot(self.folder)
        for table in ("scores", "decisions"):
            self._check(snapshot, table)
        try:
            return self._ask(runs, snapshot, ask, decode=False)
        except duckdb.Error:
            # A footer was fine but not what follows it, or a file has vanished. Decoding file by
            # file finds out which.
            return self._ask(runs, snapshot, ask, decode=True)

    def _ask(
        self,
        runs: pa.Table,
        snapshot: Snapshot,
        ask: Callable[[duckdb.DuckDBPyConnection], pa.Table],
        *,
        decode: bool,
    ) -> pa.Table:
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.register("runs", runs)
            for table in ("scores", "decisions"):
                self._create_view(connection, snapshot, table, decode)
            return ask(connection)

    def _check(self, snapshot: Snapshot, table: Table) -> None:
        known = self._good[table] | self._bad[table]
        new = [name for name in snapshot.raw[table] if name not in known]
        good, bad = read_footers(self.folder, table, new)
        self._good[table] |= good.keys()
        self._leave_out(table, bad)

    def _leave_out(self, table: Table, bad: dict[str, str]) -> None:
        warn_left_out(self.folder, table, bad)
        self._bad[table] |= bad.keys()

    def _create_view(
        self,
        connection: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        table: Table,
        decode: bool,
    ) -> None:
        raw = [name for name in snapshot.raw[table] if name not in self._bad[table]]
        parts = snapshot.manifest.parts[table]
        raw_paths = local_paths(self.folder, table, raw)
        part_paths = local_paths(self.folder, COMPACTED, parts)
        connection.register(f"no_{table}", schema_of(table).empty_table())
        sources = [f"select * from no_{table}"]
        if decode or raw_paths is None or part_paths is None:
            rows, bad = read_tables(self.folder, table, raw)
            self._leave_out(table, bad)
            connection.register(f"raw_{table}", rows)
            connection.register(f"part_{table}", read_parts(self.folder, table, parts))
            sources += [f"select * from raw_{table}", f"select * from part_{table}"]
        else:
            columns = ", ".join(f'"{name}"' for name in schema_of(table).names)
            sources += [
                f"select {columns} from read_parquet([{_literals(paths)}])"
                for paths in (raw_paths, part_paths)
                if paths
            ]
        connection.execute(f"create view {table} as {' union all '.join(sources)}")


def arrow(connection: duckdb.DuckDBPyConnection, query: str, **values: object) -> pa.Table:
    """The rows of a query; `values` are its ``$name`` parameters."""
    rows: pa.Table = connection.sql(query, params=values or None).to_arrow_table()
    return rows


def _literals(paths: list[str]) -> str:
    return ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
