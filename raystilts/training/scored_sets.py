"""Which data a stage is scored on: while it trains, and at its end."""

from __future__ import annotations

from raystilts.study.data import dev_languages, picking_languages, target_languages
from raystilts.study.plan import Stage
from raystilts.study.schema import Study
from raystilts.tasks.task import Split, Task
from raystilts.training.data import DataReader
from raystilts.training.evaluate import EvalSet
from raystilts.training.parts import stage_tasks

#: Sets, each with the index of the head that answers it.
Sets = list[tuple[int, EvalSet]]


def stage_picking_languages(stage: Stage, study: Study, task: Task) -> tuple[str, ...]:
    """The languages whose dev data picks the checkpoint."""
    return dev_languages(task, ()) if stage.kind == "intermediate" else picking_languages(study, task)


def picking_sets(stage: Stage, study: Study, reader: DataReader) -> Sets:
    """The dev data that picks the checkpoint."""
    return [
        (i, _read(study, reader, task, "dev", language))
        for i, task in enumerate(stage_tasks(stage))
        for language in stage_picking_languages(stage, study, task)
    ]


def final_sets(stage: Stage, study: Study, reader: DataReader, known: set[tuple[str, str, str]]) -> Sets:
    """Everything that a stage is to score at its end.

    Args:
        known: Task, split and language of what is already known of the final weights.
    """
    return [
        (i, _read(study, reader, task, split, language))
        for i, task in enumerate(stage_tasks(stage))
        for split, language in _wanted(stage, study, task)
        if (task.name, split, language) not in known
    ]


def _wanted(stage: Stage, study: Study, task: Task) -> list[tuple[Split, str]]:
    languages = target_languages(study, task.name) if stage.target else ()
    wanted: list[tuple[Split, str]] = [("dev", language) for language in dev_languages(task, languages)]
    wanted += [("test", language) for language in languages]
    return wanted + [("pool", language) for language in task.split_languages("pool")]


def _read(study: Study, reader: DataReader, task: Task, split: Split, language: str) -> EvalSet:
    evaluation = study.evaluation
    short = split == "dev" and not task.type.calibrates
    limit = evaluation.max_dev_samples if short else evaluation.max_test_samples
    return reader.evaluation(task, split, language, limit, study.hyperparameters.resolve(task.name))
