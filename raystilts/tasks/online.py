"""Data of a pinned commit on the Hugging Face hub or GitHub, read here and without running anyone's code.

A commit's files never change, so what they are is asked once and kept: a start on a warm cache asks nothing, and works
without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks import files
from raystilts.tasks.converters import converter_identity, get_converter
from raystilts.tasks.github import GitHub
from raystilts.tasks.hub import Hub
from raystilts.tasks.site import Site, patiently, told
from raystilts.tasks.source import Source

_Found = TypeVar("_Found")


def site_of(source: Source) -> Site:
    """The site that a source's files are on."""
    return GitHub(source) if source.on_github else Hub(source)


def identity(source: Source, language: str) -> list[str | None]:
    """What identifies rows that are not here: data set, revision, configuration and split, and how many are read."""
    name, split = source.published(language)
    more = [] if source.hub_rows is None else [str(source.hub_rows)]
    more += [f"{column}={value}" for column, value in sorted(source.hub_where.items())]
    more += [] if source.hub_converter is None else [converter_identity(source.hub_converter)]
    more += [] if source.file_type is None else [source.file_type]
    more += site_of(source).identity(language)
    return [source.path, source.keyed_as or source.revision, name, split, *more]


def read(source: Source, language: str) -> tuple[list[pa.Table], list[str]]:
    """Downloads (or takes from the cache) one language's rows.

    Returns:
        A table a file, and what to call each in a message.

    Raises:
        UserError: If the site cannot be reached, or has no such data.
    """
    if source.path is None:
        raise UserError(f"{source.dataset}: not on the hub in a form that can be read; {_instead(source, language)}")
    site = site_of(source)
    found = _asked(site, language, partial(site.files, language))
    assert found is not None
    commit, names = found
    tables, places, left = [], [], source.hub_rows
    for name in names:
        path = _asked(site, language, partial(site.fetched, commit, name), name)
        table = _table(source, path, name, left)
        tables.append(table)
        places.append(f"{source.path}@{commit[:7]}/{name}")
        if left is not None and (left := left - table.num_rows) <= 0:
            break
    return tables, places


def _asked(site: Site, language: str, ask: Callable[[], _Found], file: str | None = None) -> _Found:
    """What a site answers; what it refuses is told with what to do."""
    try:
        return patiently(ask)
    except UserError:
        raise
    except Exception as error:
        missing = f"file {file or site.source.hub_files} (language {language!r})"
        raise UserError(f"{told(error, site, missing)} Or {_instead(site.source, language)}") from error


def _instead(source: Source, language: str) -> str:
    """The files of a folder that hold the same."""
    names = ", ".join(f"{source.dataset}/{language}/{part}.parquet" for part in source.split.split("+"))
    return f"set data_dir or RAYSTILTS_DATA_DIR to a folder that holds {names}"


def _table(source: Source, path: Path, name: str, limit: int | None) -> pa.Table:
    try:
        return files.read(path, f"{source.path}/{name}", limit=limit, file_type=source.file_type)
    except UserError as error:
        if not source.on_github:  # the hub says the sum of each file, so what is wrong here is wrong there
            raise
        raise UserError(
            f"{str(error).rstrip('.')}. It is kept at {path}: if that is wrong, remove it and run again"
        ) from error


def as_in_a_folder(source: Source, rows: pa.Table, language: str) -> pa.Table:
    """What was read from the hub, as a folder holds it: the rows of the split alone, in the task's own columns.

    Raises:
        UserError: If a column is not there by which the split is told apart.
    """
    import pyarrow.compute as pc  # here: names of tasks are asked for without it

    splits = source.published(language)[1].split("+")
    for column, value in source.hub_where.items():
        if column not in rows.column_names:
            hint = did_you_mean(column, rows.column_names)
            raise UserError(f"{source.path}: column {column!r} is missing, by which {source.split} is told; {hint}")
        wanted = pa.array([value.replace("{split}", split) for split in splits])
        rows = rows.filter(pc.is_in(rows[column], wanted))
    return rows if source.hub_converter is None else get_converter(source.hub_converter)(rows, language)


def is_cached(source: Source, language: str) -> bool:
    """Whether a language's files of the pinned revision are in the cache on this machine."""
    if source.path is None:
        return False
    site = site_of(source)
    try:
        found = site.files(language, ask=False)
    except UserError:
        return False
    return found is not None and all(site.is_kept(found[0], name) for name in found[1])
