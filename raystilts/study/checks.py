"""What no field of a study file can say by itself: whether its parts go together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raystilts.errors import UserError, did_you_mean
from raystilts.study.alignment import check_domain
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.task import Task

if TYPE_CHECKING:
    from raystilts.study.schema import Study


def check_distinct_seeds(name: str, seeds: tuple[int, ...]) -> None:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]} is given twice; a seed is one replicate, name each once")


def check_unique(name: str, labels: list[str]) -> None:
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"{name}: {twice[0]!r} is given twice; drop one, or give a mixture another `name`")


def check_tasks(study: Study) -> None:
    for index, arm in enumerate(study.intermediates):
        for name in arm.tasks:
            if not _known_task(name, f"intermediates.{index}").requires_training:
                raise ValueError(f"intermediates.{index}: {name!r} has no training data; it can only be a target")
        if arm.align is not None:
            check_domain(arm.align.to, arm.tasks, f"intermediates.{index}.align.to")
        if arm.masked_lm is not None and arm.masked_lm.text_of is not None:
            check_domain(arm.masked_lm.text_of, (), f"intermediates.{index}.masked_lm.text_of")
    # Hyperparameters of tasks that the study leaves out do no harm: study files share them, and --set drops arms.
    names = {name for arm in study.intermediates for name in (arm.label, *arm.tasks)} | all_tasks().keys()
    for name in study.hyperparameters.tasks:
        if name not in names:
            raise ValueError(f"hyperparameters.tasks.{name}: no such task or arm; {did_you_mean(name, names)}")
        mixture = any(arm.label == name and arm.tasks != (name,) for arm in study.intermediates)
        if mixture and study.hyperparameters.tasks[name].max_train_samples is not None:
            raise ValueError(
                f"hyperparameters.tasks.{name}.max_train_samples: {name!r} has no data of its own; set it for its tasks"
            )
    for index, target in enumerate(study.targets):
        task = _known_task(target.task, f"targets.{index}")
        for language in target.languages or ():
            if language not in task.languages:
                hint = did_you_mean(language, task.languages)
                raise ValueError(f"targets.{index}.languages: {task.name} has no {language!r}; {hint}")
        if len(set(target.languages or ())) < len(target.languages or ()):
            raise ValueError(f"targets.{index}.languages: a language is given twice")


def check_search(study: Study) -> None:
    tuned_for, encoder = study.hyperparameters.tuned_for, study.encoder.model_name_or_path
    if tuned_for is not None and Path(tuned_for).name != Path(encoder).name:
        raise ValueError(
            f"hyperparameters.from: these values were found for {tuned_for!r}, but encoder.model_name_or_path is "
            f"{encoder!r}; search again for it, or copy the values to hyperparameters.tasks"
        )
    if study.search is None:
        return
    arms = [] if study.search.joint else [arm.label for arm in study.intermediates if not arm.is_none]
    names = [*arms, *(t.task for t in study.targets if get_task(t.task).requires_training)]
    if not names:
        raise ValueError("search: no intermediate or target of the study trains")
    for name in study.search.tasks:
        if name not in names:
            raise ValueError(f"search.tasks.{name}: not searched in this study; {did_you_mean(name, names)}")
    _check_metric(study, study.search.metric)
    mixtures = [arm.label for arm in study.intermediates if arm.label in names and arm.tasks != (arm.label,)]
    for name in mixtures:
        if "max_train_samples" in study.search.space_of(name):
            raise ValueError(f"search.space.max_train_samples: {name!r} has no data of its own; leave it out")


def _check_metric(study: Study, metric: str | None) -> None:
    """Every unit of a search must report its metric."""
    joint = study.search is not None and study.search.joint
    searched = [] if joint else [task for arm in study.intermediates for task in arm.tasks]
    tasks = [get_task(n) for n in (*searched, *(t.task for t in study.targets)) if get_task(n).requires_training]
    for task in tasks:
        if metric is not None and metric not in task.type.metrics:
            known = sorted({name for one in tasks for name in one.type.metrics})
            raise ValueError(f"search.metric: {task.name} reports no {metric!r}; {did_you_mean(metric, known)}")


def _known_task(name: str, place: str) -> Task:
    try:
        return get_task(name)
    except UserError as error:
        raise ValueError(f"{place}: {error}") from None
