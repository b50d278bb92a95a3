"""What is checked before any training starts: data, encoder, storage, and one stage of each kind."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from raystilts.errors import StorageError, UserError, first_line
from raystilts.filesystem import Folder, is_disk_full, open_folder
from raystilts.planning.cost import CHECKPOINTS
from raystilts.planning.dev_test import check_dev_is_not_test
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.foreign import fetch_foreign
from raystilts.planning.resolve import ResolvedStudy
from raystilts.planning.stage import Stage, stage_kind, stage_kinds
from raystilts.planning.stages import Plan
from raystilts.scheduling.announce import Say, silent
from raystilts.scheduling.cluster import ray_folder
from raystilts.scheduling.lock import LOCAL_LOCK
from raystilts.scheduling.tried import notes_of, remember
from raystilts.tasks.task import Task
from raystilts.training.cache import cache_folder

#: Copies of an encoder's weights that a rehearsal holds at its most: kept, in use, moments, and plain beside it.
REHEARSAL_COPIES = 6
#: Encoders up to this many parameters are loaded once before a run, to find a broken one early.
TRY_PARAMETERS = 2 * 10**8
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


def check_encoder(info: EncoderInfo) -> None:
    """Opens the encoder: its tokenizer and configuration, and the weights too where they are small.

    What has opened on this machine before, by the same programs, is not opened again.

    Raises:
        UserError: it does not load.
    """
    what = ("encoder", info.fingerprint)
    if info.verified and notes_of(what) is not None:
        return
    if info.parameters is not None and info.parameters <= TRY_PARAMETERS:
        from raystilts.training.encoder import pretrained

        pretrained(info)
        if info.verified:
            remember(what)
        return
    from transformers import AutoConfig, AutoTokenizer

    try:
        AutoConfig.from_pretrained(info.location, revision=info.revision)
        AutoTokenizer.from_pretrained(info.location, revision=info.revision)
    except Exception as error:  # each architecture has mistakes of its own in what its configuration says
        reason = first_line(error, 160)
        raise UserError(f"encoder.model_name_or_path: {info.location} does not load: {reason}") from None


def check_checkpoints(resolved: ResolvedStudy) -> bool:
    """Fetches checkpoints from elsewhere that are not here yet, compares them with the encoder, and opens small ones.

    Returns:
        Whether one was fetched.

    Raises:
        UserError: one cannot be used; names its place in the study file.
    """
    fetched = False
    for arm in resolved.arms:
        if arm.foreign is None or arm.intermediate.checkpoint is None:
            continue
        info = fetch_foreign(arm.intermediate.checkpoint, resolved.study.encoder, arm.place)
        fetched |= info != arm.foreign
        what = ("checkpoint", info.fingerprint)
        small = info.parameters is not None and info.parameters <= TRY_PARAMETERS
        if small and not (info.verified and notes_of(what) is not None):
            from raystilts.training.encoder import foreign_weights

            try:
                foreign_weights(info)
            except UserError as error:
                said = str(error).removeprefix("encoder.model_name_or_path: ")
                raise UserError(f"{arm.place}.checkpoint: {said}") from None
            if info.verified:
                remember(what)
    return fetched


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


def rehearse(
    planned: Plan, missing: Collection[str], console: Console, say: Say = silent, *, again: bool = False
) -> int:
    """Tries one stage of each kind that is to run and has not run yet; returns how many kinds there were.

    Args:
        missing: Keys of the stages to run.
        say: Called with what is done.
        again: Also what was tried on this machine before, by the same programs, and was sound.

    Raises:
        UserError: what must be the same is not; nothing was trained.
    """
    todo = _kinds_to_rehearse(planned, missing)
    resources = planned.study.resources
    device = "cuda" if todo and resources.gpus and _has_gpu() else "cpu"
    if device == "cpu" and (slow := slow_bfloat16(todo)) is not None:
        console.print(f"note: {slow}", highlight=False, markup=False, soft_wrap=True)
    known = {stage.key: None if again else notes_of(_as_tried(planned, stage, device)) for stage in todo}
    left = [stage for stage in todo if known[stage.key] is None]
    if len(left) < len(todo):
        say(f"rehearsed before on this machine: {len(todo) - len(left)} of {len(todo)} kinds of stages")
    if left and (short := _too_little_memory(planned, left)) is not None:
        console.print(f"note: {short}", highlight=False, soft_wrap=True)
        return 0
    said = dict.fromkeys(note for notes in known.values() for note in notes or ())
    for number, stage in enumerate(left, start=1):
        say(f"rehearsing {_name(stage)}, kind {number} of {len(left)}")
        said |= dict.fromkeys(_rehearse(planned, stage, device, max(1, int(resources.cpus))))
    for note in said:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    return len(todo)


def _kinds_to_rehearse(planned: Plan, missing: Collection[str]) -> list[Stage]:
    """One stage to run of each kind of which none has run."""
    known = {stage_kind(stage) for key, stage in planned.stages.items() if key not in missing}
    return [one for one in stage_kinds(planned.stages[key] for key in missing) if stage_kind(one) not in known]


def _rehearse(planned: Plan, stage: Stage, device: str, threads: int) -> list[str]:
    """Tries a stage, and keeps that it was sound; returns what there is to say."""
    from raystilts.training.rehearsal import compare_stage

    try:
        study, encoder = planned.study_of(stage), planned.encoder_of(stage)
        notes = compare_stage(stage, study, device=device, threads=threads, encoder=encoder)
    except UserError:
        raise
    except Exception as error:  # a task of the user's own may fail, and then fails alone
        return [f"{_name(stage)} was not rehearsed: {type(error).__name__}: {error}"]
    remember(_as_tried(planned, stage, device), notes)
    return notes


def _as_tried(planned: Plan, stage: Stage, device: str) -> tuple[str, ...]:
    """What the outcome of a rehearsal hangs on."""
    return "stage", planned.encoder_of(stage).fingerprint, stage.key, device, _device_name(device)


def _name(stage: Stage) -> str:
    return f"{stage.target or stage.intermediate.label} ({stage.kind})"


def _too_little_memory(planned: Plan, stages: Iterable[Stage]) -> str | None:
    """What is said where a rehearsal of the largest encoder does not fit into memory; else None."""
    largest = max(planned.encoder_of(stage).parameters or 0 for stage in stages)
    needed, free = REHEARSAL_COPIES * 4 * largest, available_memory()
    if free is None or free >= needed:
        return None
    return (
        f"not rehearsed: that takes {_amount(needed)} of memory, of which {_amount(free)} are free here; "
        "raystilts plan --rehearse does it on another machine"
    )


def slow_bfloat16(stages: Iterable[Stage]) -> str | None:
    """What is said where stages compute in bfloat16 and this processor has no products in it; else None."""
    if not any(stage.hyperparameters.bf16 for stage in stages):
        return None
    from raystilts.training.fast_ops import has_bfloat16_products

    if has_bfloat16_products():
        return None
    return (
        "bf16: true: this processor emulates bfloat16, which takes ten times as long as float32; unless stages run "
        "on other machines, set it to false (--set hyperparameters.bf16=false; it is part of what a stage is)"
    )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _device_name(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return torch.cuda.get_device_name()


def available_memory() -> int | None:
    """Bytes of memory that are free on this machine, None where the system does not say."""
    file = Path("/proc/meminfo")
    for line in file.read_text().splitlines() if file.exists() else []:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


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
            f"storage_path: {results}: {_amount(free)} are free, the checkpoints take {_amount(needed)}; free some, "
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


def _amount(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 10**8 else f"{size / 1e6:.1f} MB"
