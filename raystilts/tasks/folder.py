"""Data in folders laid out ``<dataset>/<language>/<split>.<suffix>``: what is where, and what its content is called."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from raystilts.errors import UserError, did_you_mean, first_line
from raystilts.tasks import files
from raystilts.tasks.languages import retired
from raystilts.tasks.source import Source

#: Stands behind folders for the Hugging Face hub: what no folder has is read from there.
HUB = "hub"


def data_dirs(data_dir: Path) -> tuple[Path, ...]:
    """The folders that one setting names: one, or several joined as in PATH; the first that has a file wins."""
    if data_dir.is_dir() or os.pathsep not in str(data_dir):
        return (data_dir,)
    parts = [part for part in str(data_dir).split(os.pathsep) if part]
    return tuple(Path(part) for part in (parts[:-1] if beside_hub(data_dir) else parts))


def beside_hub(data_dir: Path) -> bool:
    """Whether what no folder has is read from the hub: the setting ends with `hub`."""
    return str(data_dir).endswith(f"{os.pathsep}{HUB}") and not data_dir.is_dir()


def has_split(data_dir: Path, source: Source, language: str) -> bool:
    """Whether a folder has the files of a split."""
    try:
        split_files(data_dir, source, language)
    except UserError:
        return False
    return True


def has_data_set(data_dir: Path, source: Source) -> bool:
    """Whether a folder has the data set that a split is of, if not the split itself."""
    # Of files with a language or a split in their names the folder that all of them are in.
    place = source.dataset if source.files is None else source.files.partition("{")[0].rpartition("/")[0]
    return any((base / place).is_dir() for base in data_dirs(data_dir))


def split_files(data_dir: Path, source: Source, language: str) -> list[Path]:
    """The files of a split ("a+b" has two), of the first of a source's split and fallbacks that is there.

    Raises:
        UserError: If none is, with what was looked for and the nearest thing that is there.
    """
    for split in (source.split, *source.fallback_splits):
        for base in data_dirs(data_dir):
            paths = [_file(base, source, language, part) for part in split.split("+")]
            found = [path for path in paths if path is not None]
            if len(found) == len(paths):
                return found
    first = source.split.split("+")[0]
    if source.files is not None:
        named = " or ".join(str(_stem(base, source, language, first)) for base in data_dirs(data_dir))
        raise UserError(
            f"{named}: no such file, which files={source.files!r} names for {language}, {first}. Put it there, mend "
            "files, or set data_dir or RAYSTILTS_DATA_DIR to the folder that has it"
        )
    wanted = " or ".join(f"{_stem(base, source, language, first)}.parquet" for base in data_dirs(data_dir))
    raise UserError(
        f"{wanted}: no such file ({_near(data_dir, source, language)}). Put the data there as "
        f"<dataset>/<language>/<split>.parquet (or {', '.join(files.SUFFIXES[1:])}), set data_dir or "
        "RAYSTILTS_DATA_DIR to the folder that has it, or read from the hub what no folder has: data_dir: [FOLDER, hub]"
    )


def _stem(base: Path, source: Source, language: str, split: str) -> Path:
    """Where a split's file is, without the end of its name."""
    if source.files is None:
        return base / source.dataset / language / split
    return base / source.files.format(language=language, split=split)


def _file(base: Path, source: Source, language: str, split: str) -> Path | None:
    stem = _stem(base, source, language, split)
    try:
        if source.files is not None and stem.exists():
            return stem
        for suffix in files.SUFFIXES:
            for end in (suffix, f"{suffix}.gz"):
                if (path := stem.with_name(stem.name + end)).is_file():
                    return path
        return stem if (stem / "state.json").is_file() else None
    except OSError as error:  # a name that the file system does not allow
        raise UserError(f"{str(stem)[:200]}: {first_line(error)}; choose another name") from None


def _near(data_dir: Path, source: Source, language: str) -> str:
    """What is there instead."""
    bases = data_dirs(data_dir)
    if missing := [base for base in bases if not base.is_dir()]:
        return f"{missing[0]} is not a folder"
    own = [base / source.dataset for base in bases if (base / source.dataset).is_dir()]
    if not own:
        return did_you_mean(source.dataset, [name for base in bases for name in _names(base)])
    if not any((base / language).is_dir() for base in own):
        there = dict.fromkeys(name for base in own for name in _names(base))
        return f"languages there: {', '.join(there)}{retired(language)}"
    return f"splits there: {', '.join(sorted({name for base in own for name in _splits(base / language)}))}"


def _names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def _splits(path: Path) -> Iterator[str]:
    if path.is_dir():
        for entry in path.iterdir():
            yield entry.name.removesuffix(".gz").removesuffix(entry.suffix) if entry.is_file() else entry.name


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file or a saved folder, computed once as long as its size and time stay the same."""
    if path.is_dir():
        parts = [f"{one.name} {file_hash(one)}" for one in sorted(path.iterdir()) if one.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    stat = path.stat()
    return _hash(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8192)
def _hash(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def num_rows(path: Path, file_type: str | None = None) -> int:
    """Rows of a file; of a Parquet file from its footer. `file_type` is as in `files.read`.

    Raises:
        UserError: If it cannot be read.
    """
    if path.suffix != ".parquet":
        return _counted(str(path), path.stat().st_mtime_ns, file_type)
    import pyarrow as pa
    import pyarrow.parquet as pq  # here: names of tasks are asked for without it

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({first_line(error)}); copy it again") from error


@lru_cache(maxsize=1024)
def _counted(path: str, modified: int, file_type: str | None) -> int:
    return int(files.read(Path(path), file_type=file_type).num_rows)


def missing_dir(data_dir: Path) -> Path | None:
    """The first of the data folders that is none; None where all are there."""
    return next((base for base in data_dirs(data_dir) if not base.is_dir()), None)


def joined_dirs(given: Sequence[str]) -> str:
    """Several data folders as one setting, in order."""
    return os.pathsep.join(given)
