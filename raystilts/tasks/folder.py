"""Data in a folder laid out ``<dataset>/<language>/<split>.parquet``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean, first_line
from raystilts.tasks.languages import retired
from raystilts.tasks.tables import plain


def split_files(data_dir: Path, dataset: str, language: str, split: str, fallbacks: Sequence[str] = ()) -> list[Path]:
    """The files of a split ("a+b" has two), of the first of `split` and `fallbacks` that is there.

    Raises:
        UserError: If none is, with the nearest thing that is.
    """
    base = data_dir / dataset / language
    for name in (split, *fallbacks):
        paths = [base / f"{part}.parquet" for part in name.split("+")]
        if all(path.is_file() for path in paths):
            return paths
    wanted = base / f"{split.split('+')[0]}.parquet"
    if not data_dir.is_dir():
        found = f"{data_dir} is not a folder"
    elif not (data_dir / dataset).is_dir():
        found = did_you_mean(dataset, _names(data_dir))
    elif not base.is_dir():
        found = f"languages there: {', '.join(_names(data_dir / dataset))}{retired(language)}"
    else:
        found = f"splits there: {', '.join(p.stem for p in sorted(base.glob('*.parquet')))}"
    raise UserError(
        f"{wanted}: no such file ({found}). Put the data there as "
        "<dataset>/<language>/<split>.parquet, set data_dir or RAYSTILTS_DATA_DIR to the folder "
        "that has it, or leave both out to read from the hub"
    )


def _names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def read(paths: Sequence[Path]) -> list[pa.Table]:
    """Reads Parquet files, each to one table.

    Raises:
        UserError: If one is not a Parquet file.
    """
    import pyarrow.parquet as pq  # here: names of tasks are asked for without it

    tables = []
    for path in paths:
        try:
            table = pq.read_table(path, partitioning=None)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: not a readable Parquet file ({first_line(error)}); copy it again") from error
        tables.append(plain(table, str(path)))
    return tables


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, computed once as long as its size and time stay the same."""
    stat = path.stat()
    return _hash(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8192)
def _hash(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def num_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer.

    Raises:
        UserError: If it is not a Parquet file.
    """
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({first_line(error)}); copy it again") from error


def languages(data_dir: Path, dataset: str, split: str, fallbacks: Sequence[str] = ()) -> tuple[str, ...]:
    """The languages that have a file of the split or of a fallback, sorted."""
    names = (split, *fallbacks)
    found = set()
    for base in (data_dir / dataset).glob("*/"):
        if any(all((base / f"{p}.parquet").is_file() for p in name.split("+")) for name in names):
            found.add(base.name)
    return tuple(sorted(found))
