"""Merging the files of single attempts into large ones, while writers and readers go on.

A compaction writes a new file, then a manifest that lists it and the raw files it stands for; raw
files are deleted later, by `clean_up`. Killed at any point, it leaves the old state or the new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.ledger import Ledger
from raystilts.results.manifest import (
    COMPACTED,
    TABLES,
    Manifest,
    finals_name,
    generations,
    load_manifest,
    manifest_name,
    publish,
)
from raystilts.results.merge import by_stratum, write_rows, write_scores
from raystilts.results.reader import (
    Snapshot,
    VanishedError,
    read_footers,
    read_parts,
    read_tables,
    retrying,
    take_snapshot,
    warn_left_out,
)
from raystilts.results.schema import Table, file_name, to_table

#: More compacted files than this of one table are merged into one.
MAX_PARTS = 8
#: Temporary files younger than this many seconds may belong to a writer at work.
_LEFTOVER_AGE = 3600.0
_TRIES = 5
_PART = re.compile(r"[a-z]+-(\d{8,})-[0-9a-f]+\.parquet")


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
