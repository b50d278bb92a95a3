"""The files of a results folder: which there are, which of them can be trusted, and their rows.

Compaction merges the files of single attempts into large ones. What is merged stands in `compacted/manifest-N.json`,
the highest N is the current one: a manifest is written once, so that a writer who finds its number taken starts again
(an object store has no rename and no lock). A file that is cut off or is not ours is named in a warning and left out.
A file that disappears while it is read was compacted in the meantime, and the reader starts again.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from raystilts.errors import StorageError
from raystilts.filesystem import Folder
from raystilts.results.schema import (
    SCHEMA_VERSION,
    Table,
    distrust_version,
    parse_name,
    schema_of,
    upgrade,
)

if TYPE_CHECKING:
    import pyarrow as pa


COMPACTED = "compacted"
TABLES: tuple[Table, ...] = ("runs", "scores", "decisions")
_NAME = re.compile(r"manifest-(\d{8,})\.json")
_TRIES = 10
#: Seconds for which a reading is tried again at least, where a busy machine is slower than what deletes files.
_PATIENCE = 3.0
_READERS = 16
T = TypeVar("T")
C = TypeVar("C", dict[str, Any], list[Any])
#: Key-value metadata of a Parquet footer.
Footer = dict[str, str]


class ResultsWarning(UserWarning):
    """A file or a run was left out of an answer."""


class VanishedError(Exception):
    """A file that was listed is no longer there."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of compaction.

    Attributes:
        generation: Number of this manifest; 0 where nothing has been compacted.
        parts: Compacted files that hold a table, names inside ``compacted/``. Beside every file of
            scores there may be one of its final scores, see `finals_name`.
        consumed: Raw files whose rows are in `parts`. They stay listed after they are deleted,
            so that their attempt numbers are never given again.
    """

    generation: int = 0
    parts: dict[Table, list[str]] = field(default_factory=lambda: {t: [] for t in TABLES})
    consumed: dict[Table, list[str]] = field(default_factory=lambda: {t: [] for t in TABLES})


def finals_name(part: str) -> str:
    """Name of the file of final scores beside a compacted file of scores.

    Its columns have no version of their own: where they change, so does the name, and files of the old one are made
    anew from the scores.
    """
    return part.replace("scores", "final", 1)


def manifest_name(generation: int) -> str:
    """Name of a manifest inside ``compacted/``."""
    return f"manifest-{generation:08d}.json"


def generations(folder: Folder) -> list[int]:
    """Numbers of the manifests that are there, ascending."""
    names = folder.names(COMPACTED, "manifest-")
    return sorted(int(m[1]) for m in map(_NAME.fullmatch, names) if m)


def load_manifest(folder: Folder, known: Manifest | None = None) -> Manifest:
    """The current manifest.

    Args:
        known: The one that was current when last asked for; it is not read again if it still is.

    Raises:
        StorageError: It cannot be read. (Older ones are no substitute: the files they do not
            list may be gone.)
    """
    for _ in range(10):
        numbers = generations(folder)
        if not numbers:
            return Manifest()
        if known is not None and known.generation == numbers[-1]:
            return known
        name = f"{COMPACTED}/{manifest_name(numbers[-1])}"
        try:
            return _parse(folder.read(name))
        except FileNotFoundError:
            continue  # A newer one has been published and this one cleaned up.
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{folder.url}/{name} is not a manifest that can be read here ({error}). "
                "Restore it, or use the raystilts version that wrote it."
            ) from error
    raise StorageError(f"The manifests of {folder.url}/{COMPACTED} keep changing. Try again.")


def publish(folder: Folder, manifest: Manifest) -> bool:
    """Makes a manifest the current one; False if another writer has taken its number."""
    values = {"schema_version": SCHEMA_VERSION} | asdict(manifest)
    name = f"{COMPACTED}/{manifest_name(manifest.generation)}"
    return folder.write(name, json.dumps(values, indent=0).encode())


def _parse(data: bytes) -> Manifest:
    values = json.loads(data)
    unknown = distrust_version(str(values.pop("schema_version")))
    if unknown:
        raise ValueError(unknown)
    return Manifest(**values)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was in the folder at one moment.

    Attributes:
        manifest: The state of compaction.
        raw: Files that are not compacted, by table; every name parses.
        finals: Files of final scores beside the compacted files of scores, names inside
            ``compacted/``; folders of older versions have none.
    """

    manifest: Manifest
    raw: dict[Table, list[str]]
    finals: list[str]


def take_snapshot(folder: Folder, known: Manifest | None = None) -> Snapshot:
    """Lists the folder. Runs are listed before scores: a listed run has its scores listed too.

    Args:
        known: The manifest seen last, which is not read again if it is still current.
    """
    for _ in _attempts():
        manifest = load_manifest(folder, known)
        raw = {table: folder.names(table) for table in TABLES}
        compacted = set(folder.names(COMPACTED))
        latest = generations(folder)
        # Files are deleted only once a manifest lists them. If it is still the same one, then
        # what is missing from the listing is in the compacted files.
        if (latest[-1] if latest else 0) == manifest.generation:
            ours = {t: _ours(folder, t, raw[t], manifest) for t in TABLES}
            finals = [finals_name(part) for part in manifest.parts["scores"]]
            return Snapshot(manifest, ours, [name for name in finals if name in compacted])
    raise StorageError(f"{folder.url} is being compacted over and over. Try again.")


def _ours(folder: Folder, table: Table, names: list[str], manifest: Manifest) -> list[str]:
    if not names:  # the usual case after a clean-up, where the manifest's list is long
        return []
    consumed = set(manifest.consumed[table])
    foreign = {n: "its name is not <stage>-<attempt>.parquet" for n in names if not parse_name(n)}
    warn_left_out(folder, table, foreign)
    return [n for n in names if n not in consumed and n not in foreign]


def _attempts() -> Iterator[int]:
    """As often as a reading is begun anew while files change under it."""
    end = time.monotonic() + _PATIENCE
    for number in itertools.count():
        if number >= _TRIES and time.monotonic() >= end:
            return
        yield number


def retrying(read: Callable[[], T]) -> T:
    """Calls `read` again while files vanish under it."""
    name = ""
    for _ in _attempts():
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


_LOCK = threading.Lock()


def connect() -> duckdb.DuckDBPyConnection:
    """A connection with temporary tables and views of its own, to an empty database in memory.

    All connections of a process share the database, whose start costs more than most questions do. Settings of the
    database (its memory limit) would be everybody's: whoever sets them connects to one of its own.
    """
    with _LOCK:
        return _database(os.getpid()).cursor()


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """Started once a process: threads do not outlive a fork. A parent's is kept, since its end would wait for them."""
    return duckdb.connect()


def read_footers(folder: Folder, table: Table, names: list[str]) -> tuple[dict[str, Footer], dict[str, str]]:
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
    unknown = distrust_version(footer.get("schema_version"))
    if unknown:
        return unknown
    if (footer.get("stage"), footer.get("attempt")) != tuple(map(str, parse_name(name) or ())):
        return "its name is not that of the attempt in it"
    return None


def _footers_fast(folder: Folder, table: Table, names: list[str]) -> dict[str, Footer] | None:
    """All footers in one DuckDB query; None if that is not possible or a file is bad."""
    if not names:
        return {}
    paths = local_paths(folder, table, names)
    query = "select file_name, key, value from parquet_kv_metadata($paths)"
    try:
        with connect() as connection:
            rows = connection.execute(query, {"paths": paths}).fetchall()
    except duckdb.Error:
        return None
    found: dict[str, Footer] = {}
    for path, key, value in rows:
        found.setdefault(path.rpartition("/")[2], {})[key.decode()] = value.decode()
    return found


def _footers_one_by_one(folder: Folder, table: Table, names: list[str]) -> tuple[dict[str, Footer], dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

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


def local_paths(folder: Folder, table: str, names: list[str]) -> list[str]:
    """Paths that DuckDB can read.

    Raises:
        VanishedError: A file is no longer there.
    """
    try:
        return folder.local([f"{table}/{name}" for name in names])
    except FileNotFoundError as error:
        raise VanishedError(str(error)) from error


def read_tables(folder: Folder, table: Table, names: list[str]) -> tuple[pa.Table, dict[str, str]]:
    """The rows of raw files decoded one by one, and why some could not be.

    Raises:
        VanishedError: A file is no longer there.
    """
    import pyarrow as pa

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
    import pyarrow as pa

    tables = [pa.Table.from_batches([], schema=schema_of(table))]  # `empty_table` loads pandas
    for name, data in read_many(folder, COMPACTED, parts):
        try:
            tables.append(_decode(table, data))
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise StorageError(
                f"{folder.url}/{COMPACTED}/{name} is damaged ({error}). Restore it from a copy."
            ) from error
    return pa.concat_tables(tables)


def _decode(table: Table, data: bytes) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return upgrade(table, pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False))


def json_column(text: str | None, kind: type[C]) -> C:
    """The value of a column that holds JSON; an empty one, with a warning, where it holds none of that kind."""
    if not text:
        return kind()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, kind):
        return found
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    warnings.warn(f"A row holds {shown!r} where JSON should stand; it is read as empty.", ResultsWarning, stacklevel=2)
    return kind()
