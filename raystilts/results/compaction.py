"""Merging the files of single attempts into large ones, while writers and readers go on.

A compaction writes a new file, then a manifest that lists it and the raw files it stands for; raw files are deleted
later, by `clean_up`. Killed at any point, it leaves the old state or the new. Merged rows stand in the order in which
they are asked for together. A running study compacts now and then, and at its end; an imported table is written as
compacted files at once.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from raystilts.errors import StorageError
from raystilts.filesystem import Folder, open_folder
from raystilts.results.items import MANY as MANY_ITEMS
from raystilts.results.items import merge_items
from raystilts.results.ledger import Ledger
from raystilts.results.reader import (
    COMPACTED,
    TABLES,
    Manifest,
    ResultsWarning,
    Snapshot,
    VanishedError,
    finals_name,
    generations,
    load_manifest,
    local_paths,
    manifest_name,
    publish,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import (
    RunRow,
    Table,
    encode_table,
    file_name,
    metadata_of,
    schema_of,
    to_table,
)
from raystilts.results.tables import final_scores, from_files, rows_of

#: More compacted files than this of one table are merged into one.
MAX_PARTS = 8
#: Temporary files younger than this many seconds may belong to a writer at work.
_LEFTOVER_AGE = 3600.0
_TRIES = 5
_PART = re.compile(r"[a-z]+-(\d{8,})-[0-9a-f]+\.parquet")
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
#: Attempts that are not compacted before a compaction is worth its time (each has two files).
MANY = 1000
#: Seconds between looks.
PAUSE = 60.0
#: Seconds for which readers at work may still want files that were merged.
_GRACE = 600.0


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did.

    Attributes:
        generation: Number of the current manifest; 0 where nothing was ever compacted.
        files: Raw files merged, by table.
        rows: Rows in them, by table.
    """

    generation: int
    files: dict[Table, int]
    rows: dict[Table, int]


def compact(results: str | Path | Folder) -> Compaction:
    """Merges the raw files that are there into compacted ones. No row is changed or dropped.

    Safe at any time, also while studies run or another compaction does. Files that cannot be
    used are named in a warning and left where they are.

    Raises:
        StorageError: The folder cannot be read or written.
    """
    folder = open_folder(results)
    for _ in range(_TRIES):
        done = retrying(lambda: _compact(folder))
        if done is not None:
            return done
    raise StorageError(f"Another compaction of {folder.url} keeps getting in first. Try later.")


def clean_up(results: str | Path | Folder, *, older_than: float = 3600.0) -> int:
    """Deletes files that compaction has replaced, and what killed writers left.

    Args:
        results: The results folder.
        older_than: Keep replaced files until the current manifest is this many seconds old, so
            that readers at work need not start again. Temporary files are kept for an hour.

    Returns:
        The number of files deleted.
    """
    folder = open_folder(results)
    manifest = load_manifest(folder)
    doomed = [
        f"{place}/{name}"
        for place in (*TABLES, COMPACTED)
        for name in folder.leftovers(place)
        if _age(folder, f"{place}/{name}") >= _LEFTOVER_AGE
    ]
    current = f"{COMPACTED}/{manifest_name(manifest.generation)}"
    if manifest.generation and _age(folder, current) >= older_than:
        doomed += _replaced(folder, manifest)
    for name in doomed:
        folder.delete(name)
    return len(doomed)


@contextmanager
def compacting(results: str | Path | Folder, *, many: int = MANY, pause: float = PAUSE) -> Iterator[None]:
    """Compacts beside the block whenever `many` attempts have gathered, and after it, if it ends well.

    What goes wrong is a warning: the raw files are complete without compaction.

    Args:
        results: The results folder.
        many: Attempts before a compaction.
        pause: Seconds between looks.
    """
    folder = open_folder(results)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(pause):
            _tidy(folder, many, _GRACE)

    thread = threading.Thread(target=watch, name="raystilts-compaction", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
    thread.join()
    _tidy(folder, 1, 0.0)


def _tidy(folder: Folder, many: int, grace: float) -> None:
    try:
        if len(folder.names("runs")) >= many:
            compact(folder)
            clean_up(folder, older_than=grace)
        merge_items(folder, many=1 if many == 1 else MANY_ITEMS)
    except (StorageError, OSError, duckdb.Error) as error:
        warnings.warn(
            f"The results were not compacted ({error}); they are complete all the same.", ResultsWarning, stacklevel=2
        )


def _replaced(folder: Folder, manifest: Manifest) -> list[str]:
    """Files that nobody reads who knows the current manifest.

    A part of this or an earlier generation that the manifest does not list was merged away, or
    belongs to a compaction that was killed or lost its race and can no longer make it count.
    """
    old = [manifest_name(n) for n in generations(folder) if n < manifest.generation]
    listed = {part for parts in manifest.parts.values() for part in parts}
    listed |= {finals_name(part) for part in manifest.parts["scores"]}
    for name in folder.names(COMPACTED):
        match = _PART.fullmatch(name)
        if match and int(match[1]) <= manifest.generation and name not in listed:
            old.append(name)
    files = [f"{COMPACTED}/{name}" for name in old]
    for table in TABLES:
        consumed = set(manifest.consumed[table])
        files += [f"{table}/{name}" for name in folder.names(table) if name in consumed]
    return files


def _age(folder: Folder, name: str) -> float:
    try:
        return folder.age(name)
    except FileNotFoundError:
        return 0.0


def _compact(folder: Folder) -> Compaction | None:
    """One attempt; None if another compaction has published first."""
    snapshot = take_snapshot(folder)
    runs = Ledger(folder).raw_rows(snapshot)
    decisions, decided = _decisions(folder, snapshot)
    names = by_stratum(_usable(folder, snapshot, "scores"), runs)
    if not (runs or decided or names):
        return Compaction(snapshot.manifest.generation, dict.fromkeys(TABLES, 0), dict.fromkeys(TABLES, 0))
    generation, parts = snapshot.manifest.generation + 1, dict(snapshot.manifest.parts)
    merged: dict[Table, list[str]] = {"scores": [], "runs": [], "decisions": decided}
    count = 0
    if names:
        kept, away = _kept(parts["scores"])
        part, count, merged["scores"] = _write_scores(folder, generation, names, away)
        parts["scores"] = [*kept, part]
    # A run is not merged without its scores: it does not count, and may yet be repaired.
    scored = {*merged["scores"], *snapshot.manifest.consumed["scores"]}
    runs = [run for run in runs if file_name(run.stage, run.attempt) in scored]
    merged["runs"] = [file_name(run.stage, run.attempt) for run in runs]
    rows_of: dict[Table, pa.Table] = {"runs": to_table("runs", runs), "decisions": decisions}
    for table, rows in rows_of.items():
        if rows.num_rows:
            kept, away = _kept(parts[table])
            parts[table] = [*kept, write_rows(folder, table, generation, rows, away)]
    consumed = {table: sorted({*snapshot.manifest.consumed[table], *merged[table]}) for table in TABLES}
    if not publish(folder, Manifest(generation, parts, consumed)):
        return None
    counts: dict[Table, int] = {"runs": len(runs), "scores": count, "decisions": len(decided)}
    return Compaction(generation, {table: len(merged[table]) for table in TABLES}, counts)


def _usable(folder: Folder, snapshot: Snapshot, table: Table) -> list[str]:
    """Raw files with a footer that is ours."""
    good, bad = read_footers(folder, table, snapshot.raw[table])
    warn_left_out(folder, table, bad)
    return sorted(good)


def _decisions(folder: Folder, snapshot: Snapshot) -> tuple[pa.Table, list[str]]:
    """Rows of raw files of decisions, and the files."""
    names = _usable(folder, snapshot, "decisions")
    rows, damaged = read_tables(folder, "decisions", names)
    warn_left_out(folder, "decisions", damaged)
    return rows, [name for name in names if name not in damaged]


def _kept(parts: list[str]) -> tuple[list[str], list[str]]:
    """Compacted files that stay, and those that are merged into the next one."""
    return ([], parts) if len(parts) >= MAX_PARTS else (parts, [])


def _write_scores(folder: Folder, generation: int, names: list[str], parts: list[str]) -> tuple[str, int, list[str]]:
    """The new file, its number of new rows, and the raw files in it: those that are not damaged."""
    try:
        return *write_scores(folder, generation, names, parts), names
    except duckdb.Error as error:
        if not set(names) <= set(take_snapshot(folder).raw["scores"]):
            raise VanishedError(str(error)) from error
        _, damaged = read_tables(folder, "scores", names)
        read_parts(folder, "scores", parts)
        if not damaged:
            raise StorageError(f"The scores in {folder.url} cannot be merged: {error}") from error
        warn_left_out(folder, "scores", damaged)
        good = [name for name in names if name not in damaged]
        return *write_scores(folder, generation, good, parts), good


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
        total = _write_merged_scores(connection, folder, name, query)
        old_rows = _rows(connection, old[0]) if old else 0
    return name, total - old_rows


def write_score_rows(folder: Folder, generation: int, rows: pa.Table) -> str:
    """Writes rows of scores that stand in no file yet, and their finals; returns the file's name."""
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        query = f"select * from rows order by {_ORDER['scores']}"
        return write_query(connection, folder, "scores", generation, query)


def write_query(
    connection: duckdb.DuckDBPyConnection,
    folder: Folder,
    table: Table,
    generation: int,
    query: str,
    row_group: int = _ROW_GROUP,
) -> str:
    """Writes the rows of a query, in its order, as they come (with the finals of scores); returns the file's name.

    Args:
        row_group: Rows of scores that are held before they are written.
    """
    name = part_name(table, generation)
    if table == "scores":
        _write_merged_scores(connection, folder, name, query, row_group)
        return name
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        path = Path(temporary) / name
        _copy(connection, query, path, "zstd", _RUNS_GROUP, table)
        folder.write(f"{COMPACTED}/{name}", path.read_bytes())
    return name


def _write_merged_scores(
    connection: duckdb.DuckDBPyConnection, folder: Folder, name: str, query: str, row_group: int = _ROW_GROUP
) -> int:
    with tempfile.TemporaryDirectory(prefix="raystilts-") as temporary:
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute(f"set temp_directory = '{temporary}/spilled'")
        merged, finals = Path(temporary) / "scores.parquet", Path(temporary) / "finals.parquet"
        _copy(connection, query, merged, "zstd", row_group)
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
