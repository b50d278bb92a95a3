"""What is tried before the first stage, once a machine: that encoders open, and that a kind of stage is sound.

Both hang on the encoder's files, the stage, the device and the programs. What was tried and sound is kept in the cache
folder: a run that finds all of that as it was begins without loading an encoder, which with transformers' modules takes
seconds. What failed is not kept.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from raystilts.errors import UserError, first_line
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.foreign import fetch_foreign
from raystilts.planning.keys import digest
from raystilts.planning.resolve import ResolvedStudy
from raystilts.planning.stage import Stage, stage_kind, stage_kinds
from raystilts.planning.stages import Plan
from raystilts.scheduling.announce import Say, silent
from raystilts.scheduling.nodes import code_digest
from raystilts.scheduling.preflight import amount
from raystilts.scheduling.record import versions
from raystilts.training.cache import cache_folder

#: Copies of an encoder's weights that a rehearsal holds at its most: kept, in use, moments, and plain beside it.
REHEARSAL_COPIES = 6
#: Encoders up to this many parameters are loaded once before a run, to find a broken one early.
TRY_PARAMETERS = 2 * 10**8
#: Packages besides those of `versions` that decide whether an encoder opens; peft need not be there.
_MORE = ("safetensors", "peft")


def check_encoder(info: EncoderInfo) -> None:
    """Opens the encoder: its tokenizer and configuration, and the weights too where they are small.

    What has opened on this machine before, by the same programs, is not opened again.

    Raises:
        UserError: it does not load.
    """
    if info.parameters is not None and info.parameters <= TRY_PARAMETERS:
        from raystilts.training.encoder import pretrained

        _once(("encoder", info.fingerprint), info, pretrained)
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
        if info.parameters is not None and info.parameters <= TRY_PARAMETERS:
            from raystilts.training.encoder import foreign_weights

            try:
                _once(("checkpoint", info.fingerprint), info, foreign_weights)
            except UserError as error:
                said = str(error).removeprefix("encoder.model_name_or_path: ")
                raise UserError(f"{arm.place}.checkpoint: {said}") from None
    return fetched


def _once(what: Sequence[str], info: EncoderInfo, load: Callable[[EncoderInfo], object]) -> None:
    """Loads weights, unless these files have been loaded on this machine before."""
    if info.verified and notes_of(what) is not None:
        return
    load(info)
    if info.verified:
        remember(what)


def rehearse(
    planned: Plan, missing: Collection[str], console: Console, say: Say = silent, *, again: bool = False
) -> int:
    """Tries one stage of each kind that is to run and has not run yet; returns how many kinds are sound.

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
        todo, left = [stage for stage in todo if known[stage.key] is not None], []
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
    padding_free = str(stage.hyperparameters.padding_free)  # which is no part of a retrieval stage's key
    return "stage", planned.encoder_of(stage).fingerprint, stage.key, padding_free, device, _device_name(device)


def _name(stage: Stage) -> str:
    return f"{stage.target or stage.intermediate.label} ({stage.kind})"


def _too_little_memory(planned: Plan, stages: Iterable[Stage]) -> str | None:
    """What is said where a rehearsal of the largest encoder does not fit into memory; else None."""
    largest = max(planned.encoder_of(stage).parameters or 0 for stage in stages)
    needed, free = REHEARSAL_COPIES * 4 * largest, available_memory()
    if free is None or free >= needed:
        return None
    return (
        f"not rehearsed: that takes {amount(needed)} of memory, of which {amount(free)} are free here; "
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


def notes_of(what: Sequence[str]) -> list[str] | None:
    """What there was to say of something that was tried and sound; None where it was not tried with these programs.

    Args:
        what: All that the outcome hangs on, but the programs.
    """
    try:
        notes = json.loads(_file(what).read_text(encoding="utf-8"))["notes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a cache: what cannot be read is tried again
    return notes if isinstance(notes, list) and all(isinstance(note, str) for note in notes) else None


def remember(what: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Keeps that something was tried and sound, and what there was to say; without a place to keep it, nothing."""
    file = _file(what)
    draft = file.with_name(f".{uuid.uuid4().hex}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"what": list(what), "notes": list(notes)}), encoding="utf-8")
        draft.replace(file)


def _file(what: Sequence[str]) -> Path:
    programs = [versions(), code_digest(), platform.machine(), *map(_version, _MORE)]
    return cache_folder() / "tried" / f"{digest([*programs, *what])}.json"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
