"""Reads the rows that a source names, and says what identifies them."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from raystilts.errors import UserError, did_you_mean, first_line
from raystilts.tasks import files, folder, online
from raystilts.tasks.converters import converter_identity, get_converter
from raystilts.tasks.source import AnySource, Generated, Source
from raystilts.tasks.splits import carved
from raystilts.tasks.tables import joined
from raystilts.tasks.types.columns import Fault

Generator: TypeAlias = Callable[[str, str], pa.Table]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What stands for the content of a split in the keys of results.

    Attributes:
        value: Hex digest; equal content and treatment, equal value.
        rows: Number of rows, declared (0 if not even that) where the data is not here.
        verified: Whether the content itself was read, and not only where it would come from.
    """

    value: str
    rows: int
    verified: bool


def resolve_data_dir(data_dir: Path | None) -> Path | None:
    """The data folder: the given one, else `RAYSTILTS_DATA_DIR`, else none (the hub)."""
    if data_dir is not None:
        return data_dir
    named = os.environ.get("RAYSTILTS_DATA_DIR")
    return Path(named) if named else None


def _folder_of(source: Source, language: str, data_dir: Path | None) -> Path | None:
    """The data folder that a language is read from; None for the hub."""
    where = resolve_data_dir(data_dir)
    if where is None or not folder.beside_hub(where) or source.path is None:
        return where
    return where if folder.has_split(where, source, language) else None


#: The column that keeps track of a row's place in its file, through conversions that drop rows.
_PLACE = "__row"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a split, and where each was read.

    Attributes:
        table: The rows.
        files: Where they were read, in order, with how many rows each file has.
        places: The row of the files, counted through all of them, of each row; None where a conversion made new ones.
    """

    table: pa.Table
    files: tuple[tuple[str, int], ...]
    places: tuple[int, ...] | None

    def located(self, fault: Fault) -> str:
        """A fault with the file it is in and the rows as they are numbered there, from 0."""
        file = self.files[0][0]
        if not fault.rows:
            return f"{file}: {fault}"
        if self.places is None:
            return f"{file}, rows as converted: {fault}"
        start, here = 0, tuple(self.places[row] for row in fault.rows)
        for name, number in self.files:
            if start <= here[0] < start + number:
                own = tuple(place - start for place in here if start <= place < start + number)
                more = f" (and {len(here) - len(own)} in other files)" if len(here) > len(own) else ""
                return f"{name}: {replace(fault, rows=own)}{more}"
            start += number
        raise AssertionError(f"row {here[0]} is in none of {self.files}")


def load(source: AnySource, language: str, data_dir: Path | None, *, columns: Sequence[str] = ()) -> pa.Table:
    """The rows of one language, see `read`."""
    return read(source, language, data_dir, columns=columns).table


def _column_remedy(names: Sequence[str]) -> str:
    """What to do where columns of a file are not those of the task."""
    mark = next((mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]), None)
    if mark is not None:
        kind = "tabs: name the file .tsv" if mark == "\t" else f"{mark!r}: save it with commas"
        return f"Its columns are parted by {kind}"
    return "Name the file's columns in the task (such as text=..., label=...), or rename them in the file"


def read(source: AnySource, language: str, data_dir: Path | None, *, columns: Sequence[str] = ()) -> Rows:
    """Reads the rows of one language.

    Args:
        source: Where from.
        language: Our language code.
        data_dir: The data folder; None for `RAYSTILTS_DATA_DIR`, or else the hub.
        columns: Columns that must be there.

    Raises:
        UserError: If there is no such data, it has no rows, or columns are missing.
    """
    source = source if isinstance(source, Generated) else source.of(language)
    tables, names = _tables(source, language, data_dir)
    table = joined(tables, names)
    counts = tuple((name, one.num_rows) for name, one in zip(names, tables, strict=True))
    from_site = isinstance(source, Source) and _folder_of(source, language, data_dir) is None
    if isinstance(source, Source) and (source.converter or source.carve or (from_site and source.differs_on_hub)):
        table = table.append_column(_PLACE, pa.array(np.arange(table.num_rows), pa.int64()))
        table = _treat(source, table, language, from_site)
        places = tuple(table[_PLACE].to_pylist()) if _PLACE in table.column_names else None
        table = table.drop_columns([_PLACE] if places is not None else [])
    else:
        places = tuple(range(table.num_rows))
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        hint = did_you_mean(missing[0], table.column_names)
        raise UserError(
            f"{names[0]}: column {missing[0]!r} is missing ({hint}); expected {', '.join(columns)}. "
            f"{_column_remedy(table.column_names)}"
        )
    if table.num_rows == 0:
        what = f"no rows for language {language!r}; allowed: at least one"
        raise UserError(f"{names[0]}: {what}. Copy the file again or leave the language out")
    return Rows(table, counts, places)


def _tables(source: AnySource, language: str, data_dir: Path | None) -> tuple[list[pa.Table], list[str]]:
    """The tables that a source joins, and what to call each."""
    if isinstance(source, Generated):
        return [_generator(source)(language, source.split)], [source.generator]
    where = _folder_of(source, language, data_dir)
    if where is None:
        return online.read(source, language)
    paths = folder.split_files(where, source, language)
    return [files.read(path, file_type=source.file_type) for path in paths], [str(path) for path in paths]


def _treat(source: Source, rows: pa.Table, language: str, from_site: bool) -> pa.Table:
    if from_site and source.differs_on_hub:
        rows = _converted(source, rows, source.hub_converter, lambda: online.as_in_a_folder(source, rows, language))
    if source.converter is not None:
        converter = get_converter(source.converter)
        found = rows
        rows = _converted(source, found, source.converter, lambda: converter(found, language))
    return rows if source.carve is None else carved(rows, source.carve)


def _converted(source: Source, rows: pa.Table, name: str | None, convert: Callable[[], pa.Table]) -> pa.Table:
    """What a conversion makes of rows; where it fails, what it was given."""
    try:
        return convert()
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        names = ", ".join(name for name in rows.column_names if name != _PLACE)
        raise UserError(
            f"{source.dataset}: the conversion {name!r} fails ({type(error).__name__}: "
            f"{first_line(error)}) on columns {names}; expected those of the published data"
        ) from error


def _generator(source: Generated) -> Generator:
    module, name = source.generator.split(":")
    try:
        found: Generator = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"generator: {source.generator!r} cannot be imported ({error})") from error
    return found


def fingerprint(source: AnySource, language: str, data_dir: Path | None) -> Fingerprint:
    """What identifies the rows of one language, without reading them twice.

    A file counts by its bytes, a generator by its name and version, hub data by its pinned
    revision.

    Raises:
        UserError: If the data folder lacks the file.
    """
    if isinstance(source, Generated):
        rows = source.rows
        if rows is None:
            rows = load(source, language, None).num_rows
        return Fingerprint(_digest(source.generator, source.version, source.split, language), rows, True)
    source = source.of(language)
    treatment = [
        source.converter and converter_identity(source.converter),
        source.carve and source.carve.model_dump(),
        language if source.converter else "",
    ]
    where = _folder_of(source, language, data_dir)
    if where is None:
        content = online.identity(source, language)
        return Fingerprint(_digest(content, treatment), source.rows or 0, online.is_cached(source, language))
    paths = folder.split_files(where, source, language)
    content_of = [(path.stem, folder.file_hash(path)) for path in paths]
    return Fingerprint(_digest(content_of, treatment), _count(source, language, where, tuple(paths)), True)


def _count(source: Source, language: str, where: Path, paths: tuple[Path, ...]) -> int:
    if source.carve is None and source.converter is None:
        return sum(folder.num_rows(path, source.file_type) for path in paths)
    stamps = tuple(path.stat().st_mtime_ns for path in paths)
    return _treated_rows(source.model_dump_json(), language, where, stamps)


@lru_cache(maxsize=1024)
def _treated_rows(source: str, language: str, where: Path, stamps: tuple[int, ...]) -> int:
    return int(load(Source.model_validate_json(source), language, where).num_rows)


def _digest(*parts: object) -> str:
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def why_absent(source: AnySource, language: str, data_dir: Path | None) -> str:
    """What reading a language's data would be refused with, where the rest of its data set is there; else empty."""
    if isinstance(source, Generated):
        return ""
    source = source.of(language)
    where = _folder_of(source, language, data_dir)
    if where is None or not folder.has_data_set(where, source):
        return ""
    try:
        folder.split_files(where, source, language)
    except UserError as error:
        return str(error)
    return ""


def is_here(source: AnySource, language: str, data_dir: Path | None) -> bool:
    """Whether a language's data can be read: made in this process, in the data folder, or on the hub."""
    if isinstance(source, Generated):
        return True
    source = source.of(language)
    where = _folder_of(source, language, data_dir)
    return source.path is not None if where is None else folder.has_split(where, source, language)
