"""Losses and scores of a stage as TensorBoard events, on request."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.errors import UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.planning.stages import Stage
from raystilts.training.result import StageResult

#: Points of a loss curve; of more updates each is a mean over several.
POINTS = 500


def check_tensorboard() -> None:
    """Finds out before any training whether events can be written.

    Raises:
        UserError: the package is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("tensorboard: true needs the package tensorboard; run: pip install 'raystilts[tensorboard]'")


def write_events(results: str | Path | Folder, name: str, result: StageResult) -> None:
    """Writes the events of a stage, or of its segments so far, in place of those before.

    They go to `<results>/tensorboard/<name>`: `train/loss` by update, `dev/<language>/<metric>` and `dev/mean` (of the
    main scores) by the update of each evaluation.

    Args:
        results: The results folder, a path or a URI.
        name: Name of the stage, also of its folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    summaries: Any = importlib.import_module("torch.utils.tensorboard")
    folder = open_folder(results)
    place = f"tensorboard/{name}"
    with tempfile.TemporaryDirectory(prefix="raystilts-events-") as scratch:
        writer = summaries.SummaryWriter(scratch)
        for tag, step, value in points(result):
            writer.add_scalar(tag, value, step)
        writer.close()
        [events] = Path(scratch).iterdir()
        for old in folder.names(place):
            folder.delete(f"{place}/{old}")
        folder.write(f"{place}/{events.name}", events.read_bytes())


def event_name(stage: Stage) -> str:
    """The folder of a stage's events: arm, fraction, target, fraction, seed, as far as they apply."""
    parts = [stage.intermediate.label, stage.intermediate_fraction, stage.target, stage.target_fraction]
    shown = [f"{part:g}" if isinstance(part, float) else part for part in parts if part not in (None, 1.0)]
    return "-".join([*map(str, shown), *([] if stage.seed is None else [f"seed{stage.seed}"])])


def points(result: StageResult) -> list[tuple[str, int, float]]:
    """Tag, update and value of each point."""
    losses = np.asarray(result.losses, dtype=np.float64)
    # The updates of a point: all of a part, which ends with the last of them.
    parts = np.array_split(np.arange(len(losses)), min(POINTS, len(losses)) or 1)
    found = [("train/loss", int(part[-1]) + 1, float(losses[part].mean())) for part in parts if len(part)]
    means: dict[int, list[float]] = {}
    for score in result.scores:
        if score.split == "dev":
            found.append((f"dev/{score.language}/{score.metric}", score.step, score.value))
            if score.is_main:
                means.setdefault(score.step, []).append(score.value)
    return found + [("dev/mean", step, sum(values) / len(values)) for step, values in means.items()]
