"""Reading many small files at once: which there are, which of them can be trusted, and their rows.

A file that is cut off or is not ours is named in a warning and left out. A file that disappears
while it is read was compacted in the meantime, and the reader starts again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder
from raystilts.results.manifest import COMPACTED, TABLES, Manifest, generations, load_manifest
from raystilts.results.schema import SCHEMA_VERSION, Table, parse_name, schema_of

_TRIES = 10
_READERS = 16
T = TypeVar("T")
#: Key-value metadata of a Parquet footer.
Footer = dict[str, str]


class ResultsWarning(UserWarning):
    """A file or a run was left out of an answer."""


class VanishedError(Exception):
    """A file that was listed is no longer there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was in the folder at one moment.

    Attributes:
        manifest: The state of compaction.
        raw: Files that are not compacted, by table; every name parses.
    """

    manifest: Manifest
    raw: dict[Table, list[str]]


def take_snapshot(folder: Folder) -> Snapshot:
    """Lists the folder. Runs are listed before scores: a listed run has its scores listed too."""
    for _ in range(_TRIES):
        manifest = load_manifest(folder)
        raw = {table: folder.names(table) for table in TABLES}
        latest = generations(folder)
        # Files are deleted only once a manifest lists them. If it is still the same one, then
        # what is missing from the listing is in the compacted files.
        if (latest[-1] if latest else 0) == manifest.generation:
            return Snapshot(manifest, {t: _ours(folder, t, raw[t], manifest) for t in TABLES})
    raise StorageError(f"{folder.url} is being compacted over and over. Try again.")


def _ours(folder: Folder, table: Table, names: list[str], manifest: Manifest) -> list[str]:
    consumed = set(manifest.consumed[table])
    foreign = {n: "its name is not <stage>-<attempt>.parquet" for n in names if not parse_name(n)}
    warn_left_out(folder, table, foreign)
    return [n for n in names if n not in consumed and n not in foreign]


def retrying(read: Callable[[], T]) -> T:
    """Calls `read` again while files vanish under it."""
    for _ in range(_TRIES):
        try:
            return read()
        except VanishedError as error:
            name = str(error)
    raise StorageError(f"{name} was listed but cannot be found. Is the folder being deleted?")


def warn_left_out(folder: Folder, table: str, reasons: dict[str, str]) -> None:
    """Warns about files that are left out, naming them."""
    if not reasons:
        return
    shown = [f"{folder.url}/{table}/{name} ({why})" for name, why in list(reasons.items())[:10]]
    more = f" and {len(reasons) - 10} more" if len(reasons) > 10 else ""
    warnings.warn(
        f"Left out {len(reasons)} unusable file(s): {'; '.join(shown)}{more}. Move them away; "
        "the stages they belonged to run again.",
        ResultsWarning,
        stacklevel=2,
    )


def read_footers(
    folder: Folder, table: Table, names: list[str]
) -> tuple[dict[str, Footer], dict[str, str]]:
    """The metadata of raw files: those that are ours, and why the others are not.

    Raises:
        VanishedError: A file is no longer there.
    """
    bad: dict[str, str] = {}
    found = _footers_fast(folder, table, names)
    if found is None:
        found, bad = _footers_one_by_one(folder, table, names)
    for name in names:
        reason = _distrust(table, name, found.get(name, {}))
        if name not in bad and reason:
            bad[name] = reason
    return {name: kv for name, kv in found.items() if name not in bad}, bad


def _distrust(table: Table, name: str, footer: Footer) -> str | None:
    """Why a file is not one of this table's, or None."""
    if footer.get("raystilts_table") != table:
        return f"not a raystilts file of {table}"
    if footer.get("schema_version") != str(SCHEMA_VERSION):
        return f"schema version {footer.get('schema_version')}, not {SCHEMA_VERSION}"
    if (footer.get("stage"), footer.get("attempt")) != tuple(map(str, parse_name(name) or ())):
        return "its name is not that of the attempt in it"
    return None


def _footers_fast(folder: Folder, table: Table, names: list[str]) -> dict[str, Footer] | None:
    """All footers in one DuckDB query; None if that is not possible or a file is bad."""
    paths = local_paths(folder, table, names)
    if not paths:
        return None
    query = "select file_name, key, value from parquet_kv_metadata($paths)"
    try:
        with duckdb.connect() as connection:
            rows = connection.sql(query, params={"paths": paths}).to_arrow_table()
    except duckdb.Error:
        return None
    found: dict[str, Footer] = {}
    columns = (rows.column(i).to_pylist() for i in range(3))
    for path, key, value in zip(*columns, strict=True):
        found.setdefault(path.rpartition("/")[2], {})[key.decode()] = value.decode()
    return found


def _footers_one_by_one(
    folder: Folder, table: Table, names: list[str]
) -> tuple[dict[str, Footer], dict[str, str]]:
    found: dict[str, Footer] = {}
    bad: dict[str, str] = {}
    for name, data in read_many(folder, table, names):
        try:
            footer = pq.read_metadata(pa.BufferReader(data)).metadata or {}
            found[name] = {k.decode(): v.decode() for k, v in footer.items()}
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            bad[name] = "cut off or not Parquet"
    return found, bad


def read_many(folder: Folder, table: str, names: list[str]) -> Iterable[tuple[str, bytes]]:
    """The bytes of many files, read in parallel.

    Raises:
        VanishedError: A file is no longer there.
    """

    def read(name: str) -> tuple[str, bytes]:
        try:
            return name, folder.read(f"{table}/{name}")
        except FileNotFoundError as error:
            raise VanishedError(f"{folder.url}/{table}/{name}") from error

    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(read, names)


def local_paths(folder: Folder, table: str, names: list[str]) -> list[str] | None:
    """Paths that DuckDB can be given; None on an object store or where it would see a pattern."""
    root = str(folder.path / table) if folder.path else None
    if root is None or set(root) & set("*?[]{}"):
        return None
    return [f"{root}/{name}" for name in names]


def read_tables(folder: Folder, table: Table, names: list[str]) -> tuple[pa.Table, dict[str, str]]:
    """The rows of raw files decoded one by one, and why some could not be.

    Raises:
        VanishedError: A file is no longer there.
    """
    good, bad = [], {}
    for name, data in read_many(folder, table, names):
        try:
            good.append(_decode(table, data))
        except (pa.ArrowException, OSError, KeyError, ValueError):
            bad[name] = "damaged, or its columns are not those of the table"
    return pa.concat_tables(good) if good else schema_of(table).empty_table(), bad


def read_parts(folder: Folder, table: Table, parts: list[str]) -> pa.Table:
    """The rows of compacted files.

    Raises:
        StorageError: One is missing or damaged: its rows exist nowhere else.
        VanishedError: The manifest has changed since it was read.
    """
    tables = [schema_of(table).empty_table()]
    for name, data in read_many(folder, COMPACTED, parts):
        try:
            tables.append(_decode(table, data))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise StorageError(
                f"{folder.url}/{COMPACTED}/{name} is damaged ({error}). Restore it from a copy."
            ) from error
    return pa.concat_tables(tables)


def _decode(table: Table, data: bytes) -> pa.Table:
    schema = schema_of(table)
    rows = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    return rows.select(schema.names).cast(schema)
