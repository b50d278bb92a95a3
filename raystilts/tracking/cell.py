"""What a tracker is told of a stage: its cell, points along the way, and how it ended."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from raystilts.errors import first_line
from raystilts.filesystem import open_folder
from raystilts.planning.stage import Stage
from raystilts.study.schema import Study, TrackerName
from raystilts.training.result import Score, StageResult

#: Points of a loss curve that are reported at a time; of more updates each is a mean over several.
POINTS = 500
_USER = re.compile(r"//[^/@\s]+@")
#: What makes a run's config clear at a glance; the rest are the stage's hyperparameters.
Config = Mapping[str, str | int | float | bool | None]


class Point(NamedTuple):
    """One value of one curve.

    Attributes:
        step: Updates done.
    """

    tag: str
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class TrackedStage:
    """A stage as trackers know it.

    Attributes:
        project: The study's name.
        name: Arm, fraction, target, fraction and seed, as far as they apply, and the start of the stage's key.
        key: The stage's key.
        group: The target, or the intermediate that is trained.
        config: The cell and its hyperparameters.
        results: The results folder, a path or a URI.
        settings: What the driver found out for all workers, such as where MLflow's runs go.
        mixed: Whether it trains several tasks at once; the tags of their scores then name them.
    """

    project: str
    name: str
    key: str
    kind: str
    group: str
    config: Config
    results: str
    settings: Mapping[str, str] = field(default_factory=dict)
    mixed: bool = False

    @property
    def folder(self) -> Path | None:
        """The results folder on this machine's disk; None on an object store."""
        return open_folder(self.results).path


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stage ended.

    Attributes:
        status: `finished`, `paused` at a rung, `interrupted` or `failed`.
        summary: Its last numbers: scores on dev and test, seconds.
        points: All points of the stage, also those of earlier segments, where it has finished or paused.
    """

    status: str
    summary: Mapping[str, float] = field(default_factory=dict)
    points: Sequence[Point] = ()


def by_step(points: Sequence[Point]) -> list[tuple[int, dict[str, float]]]:
    """The values of each step by their tags, for trackers that take a step at a time."""
    found: dict[int, dict[str, float]] = {}
    for tag, step, value in points:
        found.setdefault(step, {})[tag] = value
    return sorted(found.items())


def environment_of(names: Sequence[str]) -> dict[str, str]:
    """The settings that this process has in its environment, for workers."""
    return {name: os.environ[name] for name in names if name in os.environ}


def take_over(names: Sequence[str], settings: Mapping[str, str]) -> None:
    """Puts settings into the environment where this process has none of its own."""
    for name in names:
        if name in settings:
            os.environ.setdefault(name, settings[name])


class Tracker(Protocol):
    """One stage's run in one tracker."""

    def log(self, points: Sequence[Point]) -> None:
        """Takes further points."""
        ...

    def end(self, ending: Ending) -> None:
        """Takes the last numbers, and closes the run."""
        ...


def tracker_module(name: TrackerName) -> Any:
    """What a tracker is here: `prepare(project, results)` says what workers need to know, and `Run` is a `Tracker`.

    Its package is imported only where these are called.
    """
    return importlib.import_module(f"raystilts.tracking.to_{name}")


def reason_of(error: BaseException) -> str:
    """Why a tracker failed, in a line; without the password that an address may hold."""
    return f"{type(error).__name__}: {_USER.sub('//', first_line(error))}"


def tracked(stage: Stage, study: Study, results: str, settings: Mapping[str, str] | None = None) -> TrackedStage:
    """A stage of a study as trackers know it."""
    config: dict[str, Any] = {
        "encoder": study.encoder.label,
        "encoder_revision": study.encoder.revision,
        "intermediate": stage.intermediate.label,
        "intermediate_fraction": stage.intermediate_fraction,
        "target": stage.target,
        "target_fraction": stage.target_fraction,
        "seed": stage.seed,
        "kind": stage.kind,
        "stage": stage.key,
        "study": study.name,
        **stage.hyperparameters.model_dump(mode="json"),
    }
    name = f"{stage_name(stage)}-{stage.key[:6]}"
    group = stage.target or stage.intermediate.label
    mixed = len(stage.tasks) > 1
    return TrackedStage(study.name, name, stage.key, stage.kind, group, config, results, settings or {}, mixed)


def stage_name(stage: Stage) -> str:
    """Arm, fraction, target, fraction, seed, as far as they apply."""
    parts = [stage.intermediate.label, stage.intermediate_fraction, stage.target, stage.target_fraction]
    shown = [f"{part:g}" if isinstance(part, float) else part for part in parts if part not in (None, 1.0)]
    return "-".join([*map(str, shown), *([] if stage.seed is None else [f"seed{stage.seed}"])])


def loss_points(losses: Sequence[float], first: int = 0) -> list[Point]:
    """`train/loss` by update.

    Args:
        first: Updates done before the first of these losses.
    """
    values = np.asarray(losses, dtype=np.float64)
    # The updates of a point: all of a part, which ends with the last of them.
    parts = np.array_split(np.arange(len(values)), min(POINTS, len(values)) or 1)
    return [Point("train/loss", first + int(part[-1]) + 1, float(values[part].mean())) for part in parts if len(part)]


def _tag(score: Score, mixed: bool) -> str:
    return f"{score.split}/{f'{score.task}/' if mixed else ''}{score.language}/{score.metric}"


def score_points(scores: Iterable[Score], mixed: bool = False) -> list[Point]:
    """`dev/<language>/<metric>`, and `dev/mean` of the main scores, by the update of each evaluation.

    Args:
        mixed: Whether there are several tasks: `dev/<task>/<language>/<metric>`.
    """
    found, means = [], dict[int, list[float]]()
    for score in scores:
        if score.split == "dev":
            found.append(Point(_tag(score, mixed), score.step, score.value))
            if score.is_main:
                means.setdefault(score.step, []).append(score.value)
    return found + [Point("dev/mean", step, sum(values) / len(values)) for step, values in means.items()]


def points_of(result: StageResult, mixed: bool = False) -> list[Point]:
    """All points of a stage, from its first update."""
    return loss_points(result.losses) + score_points(result.scores, mixed)


def summary_of(result: StageResult, mixed: bool = False) -> dict[str, float]:
    """A stage's last numbers: each score of the weights that it ended with, means of the main ones, and its work."""
    found: dict[str, float] = {}
    means: dict[str, list[float]] = {}
    for score in result.scores:
        if score.is_final:
            found[f"final/{_tag(score, mixed)}"] = score.value
            if score.is_main:
                means.setdefault(score.split, []).append(score.value)
    found |= {f"final/{split}/mean": sum(values) / len(values) for split, values in means.items()}
    if result.dev_score is not None:
        found["dev_score"] = result.dev_score
    return found | {
        "best_step": float(result.best_step),
        "train_seconds": result.train_seconds,
        "eval_seconds": result.eval_seconds,
    }
