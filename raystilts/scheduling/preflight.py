"""What is checked before any training starts: data, storage, and places for temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raystilts.errors import StorageError, UserError, first_line
from raystilts.filesystem import Folder, is_disk_full, open_folder
from raystilts.planning.cost import CHECKPOINTS
from raystilts.planning.dev_test import check_dev_is_not_test
from raystilts.planning.resolve import ResolvedStudy
from raystilts.scheduling.announce import Say, silent
from raystilts.scheduling.cluster import ray_folder
from raystilts.scheduling.lock import LOCAL_LOCK
from raystilts.tasks.task import Task
from raystilts.training.cache import cache_folder

#: Files that a run writes to its results folder.
_FILES = ("study.json", "tasks.json", "progress.json", LOCAL_LOCK)
#: A disk with less room than this is full: rows, snapshots and logs have no place.
LEAST_BYTES = 20 * 10**6
#: Bytes of a folder's name below which Ray's sockets have names that are too long (107, of which it adds up to 66).
LONGEST_RAY_BASE = 36


@dataclass(frozen=True, slots=True)
class Split:
    """One split of a task that a study reads; `language` is None for training data."""

    place: str
    task: Task
    split: Literal["train", "dev", "test", "pool"]
    language: str | None


def splits(resolved: ResolvedStudy) -> Iterator[Split]:
    """Everything that a study reads of its tasks, with its place in the study file."""
    for arm in resolved.all_arms:
        for one in arm.tasks:
            yield Split(one.place, one.task, "train", None)
            yield from (Split(one.place, one.task, "dev", language) for language in one.dev_languages)
        for other in (arm.align_to, arm.text_of):
            if other is not None:
                yield Split(other.place, other.task, "train", None)
    for one in resolved.targets:
        if one.task.requires_training:
            yield Split(one.place, one.task, "train", None)
        yield from (Split(one.place, one.task, "dev", language) for language in one.dev_languages)
        yield from (Split(one.place, one.task, "test", language) for language in one.languages)
        yield from (Split(one.place, one.task, "pool", language) for language in one.task.split_languages("pool"))


def check_data(resolved: ResolvedStudy, say: Say = silent) -> list[str]:
    """Reads every row once: fetches hub data, and finds what is missing, empty or of the wrong form.

    Args:
        say: Called with what is read.

    Returns:
        What does not keep rows from use and is worth knowing, a sentence each: blank texts.

    Raises:
        UserError: naming the place in the study file.
    """
    folder = resolved.data.folder
    seen: set[tuple[str, str, str | None]] = set()
    said: list[str] = []
    for one in splits(resolved):
        if (one.task.name, one.split, one.language) in seen:
            continue
        seen.add((one.task.name, one.split, one.language))
        task = one.task
        say(f"reading {task.name}: {one.split}{f' in {one.language}' if one.language else ''}")
        try:
            if one.split == "train" or one.language is None:
                task.load_train(folder, said)
            else:
                task.load_split(one.split, one.language, folder, said)
        except UserError as error:
            raise UserError(f"{one.place}: {error}") from None
    check_dev_is_not_test(resolved.targets, folder)
    for arm in resolved.all_arms:
        if arm.plain_text is not None and arm.text_of is None:
            try:
                arm.plain_text.load_train(folder)
            except UserError as error:
                raise UserError(f"{arm.place}.masked_lm: {error}") from None
    return list(dict.fromkeys(said))


def check_places(address: str | None) -> None:
    """Whether temporary files, those of Ray, and copies and tokenised data have a place.

    Args:
        address: The running Ray cluster, which has its own; None for one of our own.

    Raises:
        UserError: a folder cannot be written.
        StorageError: a disk is full.
    """
    cache = cache_folder()
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise UserError("no folder for temporary files can be written; name one: TMPDIR=/path") from None
    _try(temporary, "temporary files", "TMPDIR=/path")
    _try(cache, "tokenised data and copies of weights", "RAYSTILTS_CACHE_DIR=/path")
    if address is None:
        folder = ray_folder()
        _try(folder, "Ray's temporary files", "RAY_TMPDIR=/path")
        if len(os.fsencode(folder.parent)) > LONGEST_RAY_BASE:
            raise UserError(f"{folder}: too long for the sockets that Ray keeps there; name another: RAY_TMPDIR=/tmp")


def _try(folder: Path, what: str, remedy: str) -> None:
    """Writes to a folder that need not be there yet."""
    try:
        _probe(folder)
        full = shutil.disk_usage(folder).free < LEAST_BYTES
    except OSError as error:
        if not is_disk_full(error):
            reason = error.strerror or error
            raise UserError(f"{folder}: {what} cannot be written there ({reason}); name another: {remedy}") from None
        full = True
    if full:
        raise StorageError(f"{folder}: no space left for {what}; free some, or name another disk: {remedy}")


def _probe(folder: Path) -> None:
    """Writes a small file, and takes it away; raises OSError where it cannot."""
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        raise


def check_storage(results: str | Path, needed: int | None) -> None:
    """Makes the results folder, by path or URI, and tries to write there.

    Raises:
        UserError: it cannot be written.
        StorageError: less is free than the checkpoints need.
    """
    folder = open_folder(results)
    if folder.path is None:
        _check_remote(folder)
    else:
        _check_disk(folder.path, needed)


def _check_remote(folder: Folder) -> None:
    probe = f"probe-{uuid.uuid4().hex}"
    try:
        folder.write(probe, b"x" * 4096)
        folder.delete(probe)
    except Exception as error:  # every store's client has exceptions of its own
        raise UserError(
            f"storage_path: {folder.url}: cannot be written ({first_line(error)}); the credentials and the endpoint "
            "come from the environment (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        ) from None


def _check_kinds(results: Path) -> None:
    """Whether what a run writes is what it was: a folder in a file's place, or the other way round, takes no row."""
    kinds = {**dict.fromkeys((results / name for name in _FILES), "a file"), results.parent / CHECKPOINTS: "a folder"}
    for path, kind in kinds.items():
        if path.exists() and path.is_dir() != (kind == "a folder"):
            raise UserError(
                f"storage_path: {path} must be {kind} that raystilts writes; move it away, or choose another: "
                "--storage-path PATH"
            )


def _check_disk(results: Path, needed: int | None) -> None:
    try:
        _probe(results)
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(
                f"storage_path: {results}: no space left; free some and run the same command again"
            ) from None
        raise UserError(
            f"storage_path: {results}: cannot be written ({error.strerror}); choose another: --storage-path PATH"
        ) from None
    _check_kinds(results)
    free, needed = shutil.disk_usage(results).free, max(LEAST_BYTES, needed or 0)
    if free < needed:
        raise StorageError(
            f"storage_path: {results}: {amount(free)} are free, the checkpoints take {amount(needed)}; free some, "
            "set keep: needed in the study file, or choose another: --storage-path PATH"
        )


def check_room(results: str | Path) -> None:
    """Whether a stage may start: a disk that is full would lose what it does.

    Raises:
        StorageError: it is full.
    """
    path = open_folder(results).path
    with suppress(OSError):
        if path is not None and shutil.disk_usage(path).free < LEAST_BYTES:
            raise StorageError(
                f"{path}: no space left; free some and run the same command again: finished stages are kept, "
                "interrupted ones go on"
            )


def amount(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 10**8 else f"{size / 1e6:.1f} MB"
