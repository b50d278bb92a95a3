"""Data from the Hugging Face hub, at a pinned revision and without running anyone's code."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from raystilts.errors import UserError
from raystilts.tasks.languages import flores_code, iso3_code, language_name
from raystilts.tasks.source import CONVERTED, Source
from raystilts.tasks.tables import plain


def _fill(text: str, source: Source, language: str) -> str:
    return text.format(
        language=source.language_codes.get(language, language),
        iso3=source.language_codes.get(language, iso3_code(language)),
        flores=source.language_codes.get(language, flores_code(language)),
        language_name=language_name(language),
    )


def names(source: Source, language: str) -> tuple[str | None, str]:
    """Configuration and split on the hub."""
    name = None if source.name is None else _fill(source.name, source, language)
    return name, _fill(source.hub_split or source.split, source, language)


def identity(source: Source, language: str) -> list[str | None]:
    """What identifies rows that are not here: data set, revision, configuration and split."""
    name, split = names(source, language)
    return [source.path, source.revision, name, split]


def read(source: Source, language: str) -> pa.Table:
    """Downloads (or takes from the cache) one language's rows.

    Raises:
        UserError: If the hub cannot be reached, or has no such data.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise UserError(
            "data from the hub needs the package `datasets`: install it, or set data_dir or "
            "RAYSTILTS_DATA_DIR to a folder laid out <dataset>/<language>/<split>.parquet"
        ) from error
    name, split = names(source, language)
    if source.path is None:
        raise UserError(
            f"{source.dataset}: not on the hub in a form that can be read; set data_dir or RAYSTILTS_DATA_DIR to a "
            f"folder that holds {_files(source, language)}"
        )
    try:
        found = datasets.load_dataset(**_arguments(source, name, split))
    except Exception as error:  # the library raises many kinds, from sockets to missing configurations
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"{source.path}{f' ({name})' if name else ''}, split {split}, cannot be read from the "
            f"hub: {reason}. Without a network set data_dir or RAYSTILTS_DATA_DIR to a folder that holds "
            f"{_files(source, language)}"
        ) from error
    return to_table(found, f"{source.path} on the hub")


def _files(source: Source, language: str) -> str:
    """The files of a folder that hold the same."""
    return ", ".join(f"{source.dataset}/{language}/{part}.parquet" for part in source.split.split("+"))


def _arguments(source: Source, name: str | None, split: str) -> dict[str, Any]:
    """Arguments of `load_dataset`; the hub's conversion is <configuration>/<split>/*.parquet."""
    if source.revision != CONVERTED:
        return {"path": source.path, "name": name, "split": split, "revision": source.revision}
    base = f"hf://datasets/{source.path}@{CONVERTED}/{name or 'default'}"
    files = [f"{base}/{part}/*.parquet" for part in split.split("+")]
    return {"path": "parquet", "data_files": {"rows": files}, "split": "rows"}


def to_table(found: Any, at: str = "the hub") -> pa.Table:
    """A `datasets.Dataset` as a plain table: class indices become class names (-1, no label, stays "-1")."""
    return plain(found.with_format("arrow")[:], at)


def is_cached(source: Source) -> bool:
    """Whether the pinned revision is in the hub's cache on this machine."""
    try:
        constants = importlib.import_module("huggingface_hub.constants")
    except ImportError:
        return False
    if source.path is None:
        return False
    folder = Path(constants.HF_HUB_CACHE) / f"datasets--{source.path.replace('/', '--')}"
    return (folder / "snapshots" / source.revision).is_dir()
