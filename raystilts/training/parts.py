"""What a stage trains on: the parts of its mixture, and the fixed list of its updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raystilts.study.amount import counted_rows, steps_of, task_weights
from raystilts.study.data import masked_lm_task
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import MaskedLM
from raystilts.study.plan import Stage
from raystilts.study.schema import Study
from raystilts.tasks.features import Features, Longs
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.training.batches import (
    Update,
    example_lengths,
    mix,
    mixture_order,
    smoothed_batches,
    subset,
    text_first,
    training_batches,
)
from raystilts.training.data import DataReader


@dataclass(slots=True)
class Part:
    """One part of a training: a task with its features and the chosen share of its examples.

    Attributes:
        languages: Examples of each language, where they are drawn by the smoothed sizes of the languages.
    """

    task: Task
    hyperparameters: Hyperparameters
    features: Features
    chosen: Longs
    languages: tuple[int, ...] = ()


def stage_tasks(stage: Stage) -> list[Task]:
    """The tasks of a stage, without the plain text of its masked LM."""
    return [get_task(name) for name in ((stage.target,) if stage.target else stage.intermediate.tasks)]


def stage_hyperparameters(stage: Stage, study: Study) -> Hyperparameters:
    """What a stage trains with."""
    return study.hyperparameters.resolve(stage.target or stage.intermediate.label)


def stage_masked_lm(stage: Stage) -> MaskedLM | None:
    """The masked LM that a stage trains with."""
    return stage.intermediate.masked_lm if stage.kind == "intermediate" else None


def training_parts(stage: Stage, study: Study, reader: DataReader) -> list[Part]:
    """What is trained on: the tasks, then the plain text if there is any."""
    assert stage.seed is not None
    fraction, _ = _share(stage, study)
    parts = []
    for task in stage_tasks(stage):
        hp = study.hyperparameters.resolve(task.name)
        features = reader.training(task, hp)
        parts.append(Part(task, hp, features, subset(features.num_examples, fraction, stage.seed)))
    masked_lm = stage_masked_lm(stage)
    if masked_lm is not None:
        parts.append(_text(masked_lm, stage, study, reader))
    return parts


def _share(stage: Stage, study: Study) -> tuple[float, Any]:
    """The share of the training data, and what stays fixed where it shrinks."""
    target = stage.kind == "target"
    axis = study.target_fractions if target else study.intermediate_fractions
    fraction = stage.target_fraction if target else stage.intermediate_fraction
    assert fraction is not None
    return fraction, axis.hold


def _text(masked_lm: MaskedLM, stage: Stage, study: Study, reader: DataReader) -> Part:
    """The plain text of masked LM."""
    assert stage.seed is not None
    text, length = masked_lm_task(masked_lm), stage_hyperparameters(stage, study).max_length
    hp = Hyperparameters(max_length=length)
    languages: tuple[int, ...] = ()
    if masked_lm.text_of is not None:
        whole = study.hyperparameters.resolve(masked_lm.text_of)
        features = reader.text_of(get_task(masked_lm.text_of), whole, length)
    elif masked_lm.smoothing == 1:
        features = reader.training(text, hp)
    else:
        features, languages = reader.text(masked_lm, hp)
    return Part(text, hp, features, subset(features.num_examples, 1.0, stage.seed), languages)


def training_updates(stage: Stage, study: Study, parts: list[Part]) -> list[Update]:
    """The fixed list of updates of a training on these parts."""
    arm = stage.intermediate if stage.kind == "intermediate" else None
    masked_lm, hp = stage_masked_lm(stage), stage_hyperparameters(stage, study)
    fraction, hold = _share(stage, study)
    rows = [p.features.num_examples for p in parts[: len(stage_tasks(stage))]]
    steps = steps_of(arm, rows, fraction, hold, hp)
    weights = [1.0]
    if arm and rows:
        weights = task_weights(arm, counted_rows(arm, rows, fraction, "epochs"))
    if masked_lm is not None:
        share = masked_lm.probability if rows else 1.0
        total = sum(weights) if rows else 1.0
        weights = [w / total * (1 - share) for w in weights] if rows else []
        weights.append(share)
    seed = stage.seed or 0
    order = mixture_order(weights, steps, seed)
    if masked_lm is not None and masked_lm.when == "before":
        order = text_first(order, len(rows))
    counts = [int((order == i).sum()) for i in range(len(parts))]
    streams = [_stream(part, masked_lm, hp, seed, count) for part, count in zip(parts, counts, strict=True)]
    return mix(order, streams)


def _stream(part: Part, masked_lm: MaskedLM | None, hp: Hyperparameters, seed: int, steps: int) -> list[Longs]:
    """The batches of one part, as many as it has updates."""
    if not part.languages:
        return training_batches(part.chosen, example_lengths(part.features), hp, seed, steps)
    assert masked_lm is not None
    return smoothed_batches(part.languages, masked_lm.smoothing, hp, seed, steps)
