"""Merging the files of single attempts into large ones, while writers and readers go on.

A compaction writes a new file, then a manifest that lists it and the raw files it stands for; raw
files are deleted later, by `clean_up`. Killed at any point, it leaves the old state or the new.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.manifest import (
    COMPACTED,
    TABLES,
    Manifest,
    generations,
    load_manifest,
    manifest_name,
    publish,
)
from raystilts.results.reader import (
    Snapshot,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import Table, encode_table, schema_of

#: More compacted files than this of one table are merged into one.
MAX_PARTS = 8
#: Temporary files younger than this many seconds may belong to a writer at work.
_LEFTOVER_AGE = 3600.0
_TRIES = 5
_PART = re.compile(r"[a-z]+-(\d{8,})-[0-9a-f]+\.parquet")
#: Rows that are asked for together lie together, so that row groups can be skipped.
_ORDER: dict[Table, str] = {
    "runs": "stage, attempt",
    "scores": "target, target_fraction, split, is_final, intermediate, intermediate_fraction, "
    "seed, stage, attempt, step, language, metric",
    "decisions": "decided_at, study, target, target_fraction, round",
}


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


def _replaced(folder: Folder, manifest: Manifest) -> list[str]:
    """Files that nobody reads who knows the current manifest.

    A part of this or an earlier generation that the manifest does not list was merged away, or
    belongs to a compaction that was killed or lost its race and can no longer make it count.
    """
    old = [manifest_name(n) for n in generations(folder) if n < manifest.generation]
    listed = {part for parts in manifest.parts.values() for part in parts}
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
    raw = {table: _usable(folder, snapshot, table) for table in TABLES}
    # A run is not merged without its scores: it does not count, and may yet be repaired.
    scored = {*raw["scores"][0], *snapshot.manifest.consumed["scores"]}
    runs = [name for name in raw["runs"][0] if name in scored]
    if len(runs) < len(raw["runs"][0]):
        raw["runs"] = (runs, read_tables(folder, "runs", runs)[0])
    if not any(names for names, _ in raw.values()):
        return _report(snapshot.manifest.generation, raw)
    manifest = _merged(folder, snapshot.manifest, raw)
    return _report(manifest.generation, raw) if publish(folder, manifest) else None


def _report(generation: int, raw: dict[Table, tuple[list[str], pa.Table]]) -> Compaction:
    files = {table: len(names) for table, (names, _) in raw.items()}
    return Compaction(
        generation, files, {table: rows.num_rows for table, (_, rows) in raw.items()}
    )


def _usable(folder: Folder, snapshot: Snapshot, table: Table) -> tuple[list[str], pa.Table]:
    """Raw files that can be merged, and their rows."""
    good, bad = read_footers(folder, table, snapshot.raw[table])
    rows, damaged = read_tables(folder, table, sorted(good))
    warn_left_out(folder, table, bad | damaged)
    return [name for name in sorted(good) if name not in damaged], rows


def _merged(
    folder: Folder, old: Manifest, raw: dict[Table, tuple[list[str], pa.Table]]
) -> Manifest:
    """Writes the new parts and returns the manifest that will make them count."""
    generation = old.generation + 1
    parts = {}
    for table, (names, rows) in raw.items():
        kept = list(old.parts[table])
        if names and len(kept) >= MAX_PARTS:
            rows = pa.concat_tables([read_parts(folder, table, kept), rows])
            kept = []
        if names:
            kept.append(_write_part(folder, table, generation, rows))
        parts[table] = kept
    consumed = {table: sorted({*old.consumed[table], *raw[table][0]}) for table in TABLES}
    return Manifest(generation, parts, consumed)


def _write_part(folder: Folder, table: Table, generation: int, rows: pa.Table) -> str:
    # The random part keeps two compactions of one generation from taking each other's name.
    name = f"{table}-{generation:08d}-{secrets.token_hex(4)}.parquet"
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("rows", rows)
        ordered = connection.sql(f"select * from rows order by {_ORDER[table]}").to_arrow_table()
    data = encode_table(ordered.cast(schema_of(table)), {}, small=False)
    folder.write(f"{COMPACTED}/{name}", data)
    return name
