"""A training in progress on disk: weights, optimiser and place; written to a temporary name and renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor


@dataclass(slots=True)
class Snapshot:
    """Everything that a training needs to go on bit for bit.

    Attributes:
        step: Updates done.
        state: Numbers and texts: scores so far, counts, best step.
        tensors: Named tensors: trained weights, optimiser moments, best weights.
    """

    step: int
    state: dict[str, Any]
    tensors: dict[str, Tensor]


def save_folder(folder: Path, tensors: Mapping[str, Tensor], documents: Mapping[str, Any]) -> None:
    """Writes tensors and JSON documents as a folder that appears whole or not at all."""
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        if tensors:
            flat = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
            save_file(flat, temporary / "model.safetensors", metadata={"format": "pt"})
        for name, content in documents.items():
            (temporary / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
        publish_folder(temporary, folder)
    finally:
        # A disk that is full must not be left with half a snapshot on it.
        shutil.rmtree(temporary, ignore_errors=True)


def publish_folder(temporary: Path, folder: Path) -> None:
    """Gives a finished temporary folder its name, in place of what stood there."""
    for path in temporary.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.replace(old)
    temporary.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Writes a snapshot in place of the last one."""
    save_folder(folder, snapshot.tensors, {"state.json": {"step": snapshot.step, **snapshot.state}})


def load_snapshot(folder: Path) -> Snapshot | None:
    """The last snapshot, or None where there is none (or only a broken one: the stage then starts over)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not folder.exists():  # killed just between the two renames of `publish_folder`
        folder = next(folder.parent.glob(f".{folder.name}.*.old"), folder)
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError):
        return None
    return Snapshot(state.pop("step"), state, tensors)
