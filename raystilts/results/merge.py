"""The merged files that a compaction writes, in the order in which their rows are asked for together."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from raystilts.results.filesystem import Folder
from raystilts.results.manifest import COMPACTED, finals_name
from raystilts.results.reader import local_paths, read_parts
from raystilts.results.schema import RunRow, Table, encode_table, file_name, metadata_of, schema_of
from raystilts.results.sql import final_scores, from_files, rows_of

#: What DuckDB may hold while it merges; it spills the rest to disk.
_MEMORY = "600MB"
_ROW_GROUP, _FINALS_GROUP = 122_880, 2_048
#: Rows of many columns are held until their group is written.
_RUNS_GROUP = 8_192
_ORDER: dict[Table, str] = {
    "runs": "stage, attempt",
    "scores": "target, target_fraction, intermediate, intermediate_fraction, seed, stage, attempt, step, split, "
    "language, metric",
    "decisions": "decided_at, study, target, target_fraction, round",
}


def part_name(table: Table, generation: int) -> str:
    """A name of its own for each file: two compactions of one generation do not take each other's."""
    return f"{table}-{generation:08d}-{secrets.token_hex(4)}.parquet"


def write_rows(folder: Folder, table: Table, generation: int, rows: pa.Table, parts: list[str]) -> str:
    """Writes rows, together with those of older `parts`, as one file; returns its name."""
    name = part_name(table, generation)
    rows = pa.concat_tables([read_parts(folder, table, parts), rows])
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("rows", rows)
        ordered = connection.sql(f"select * from rows order by {_ORDER[table]}").to_arrow_table()
    folder.write(f"{COMPACTED}/{name}", encode_table(ordered.cast(schema_of(table)), {}, small=False))
    return name


def write_scores(folder: Folder, generation: int, names: list[str], parts: list[str]) -> tuple[str, int]:
    """Writes the scores of raw files, together with those of older `parts`, and their finals.

    Args:
        names: Raw files; in `by_stratum` order their rows need no sorting.

    Returns:
        The file's name and the number of new rows in it.

    Raises:
        duckdb.Error: A file is damaged.
        VanishedError: A file is no longer there.
    """
    name = part_name("scores", generation)
    raw = from_files(local_paths(folder, "scores", names), by_name=True)
    old = from_files(local_paths(folder, COMPACTED, parts), by_name=True)
    query = rows_of("scores", [*old, *raw])
    if parts:
        query += f" order by {_ORDER['scores']}"
    with duckdb.connect() as connection:
        total = _write_scores(connection, folder, name, query)
        old_rows = _rows(connection, old[0]) if old else 0
    return name, total - old_rows


def write_score_rows(folder: Folder, generation: int, rows: pa.Table) -> str:
    """Writes rows of scores that stand in no file yet, and their finals; returns the file's name."""
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        query = f"select * from rows order by {_ORDER['scores']}"
        return write_query(connection, folder, "scores", generation, query)


def write_query(
    connection: duckdb.DuckDBPyConnection, folder: Folder, table: Table, generation: int, query: str
) -> str:
    """Writes the rows of a query, in its order, as they come (with the finals of scores); returns the file's name."""
    name = part_name(table, generation)
    if table == "scores":
        _write_scores(connection, folder, name, query)
        return name
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        path = Path(temporary) / name
        _copy(connection, query, path, "zstd", _RUNS_GROUP, table)
        folder.write(f"{COMPACTED}/{name}", path.read_bytes())
    return name


def _write_scores(connection: duckdb.DuckDBPyConnection, folder: Folder, name: str, query: str) -> int:
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute(f"set temp_directory = '{temporary}/spilled'")
        merged, finals = Path(temporary) / "scores.parquet", Path(temporary) / "finals.parquet"
        _copy(connection, query, merged, "zstd", _ROW_GROUP)
        everything = f"from '{merged}'"
        order = "order by split, target, target_fraction, stage, attempt"
        # A question reads few of these rows, or all at once: they are small as they are.
        _copy(connection, f"{final_scores(everything)} {order}", finals, "uncompressed", _FINALS_GROUP)
        # Whoever sees the scores sees their finals.
        folder.write(f"{COMPACTED}/{finals_name(name)}", finals.read_bytes())
        folder.write(f"{COMPACTED}/{name}", merged.read_bytes())
        return _rows(connection, everything)


def by_stratum(names: list[str], runs: Sequence[RunRow]) -> list[str]:
    """File names of attempts, those of one target and fraction together, then those of one arm."""
    order = {
        file_name(run.stage, run.attempt): (
            run.target or "", run.target_fraction or 0.0, run.intermediate, run.intermediate_fraction or 0.0,
            run.hyperparameters, run.seed or 0,
        )
        for run in runs
    }  # fmt: skip
    return sorted(names, key=lambda name: (order.get(name, ("",)), name))


def _rows(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    (count,) = connection.execute(f"select count(*) from ({source})").fetchall()[0]
    return int(count)


def _copy(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: Path,
    compression: str,
    row_group: int,
    table: Table = "scores",
) -> None:
    metadata = ", ".join(f"{key}: '{value}'" for key, value in metadata_of(table).items())
    options = f"format parquet, compression {compression}, row_group_size {row_group}, kv_metadata {{{metadata}}}"
    connection.execute(f"copy ({query}) to '{path}' ({options})")
