"""What the names in a study file stand for: each task, language and hyperparameter looked up once, before planning.

`load_study` reads a study file and runs its `task_files`; `resolve` finds out whether the parts of a study go together
and puts the registered tasks in the place of their names. What comes after (stages, training, scheduling) carries what
was found here and looks nothing up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from raystilts.errors import UserError
from raystilts.planning.checks import check_search, check_tasks
from raystilts.planning.data import dev_languages, masked_lm_task
from raystilts.study.adapters import FULL, Tuning
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study, Target
from raystilts.tasks.registry import get_task, load_task_file
from raystilts.tasks.task import Task, shares_training_data


@dataclass(frozen=True, slots=True)
class ResolvedTask:
    """A task as a study uses it.

    Attributes:
        place: Where the study file names it, for messages.
        languages: Languages that are scored on test data; none for an intermediate.
        dev_languages: Languages that are scored on dev data at the end, the training language first.
        picking_languages: Of these, the ones that pick the checkpoint and decide whether an arm goes on.
        tuning: What the training of a target changes of the encoder.
    """

    task: Task
    hyperparameters: Hyperparameters
    place: str
    languages: tuple[str, ...] = ()
    dev_languages: tuple[str, ...] = ()
    picking_languages: tuple[str, ...] = ()
    tuning: Tuning = FULL


@dataclass(frozen=True, slots=True)
class ResolvedArm:
    """An intermediate with its tasks.

    Attributes:
        tasks: What it trains on, in the order of the study file; none for `none` and for masked LM alone.
        plain_text: The text of its masked LM, where that is a dataset.
        text_of: The task whose training texts are the text of its masked LM.
        align_to: The task whose training texts it is drawn to.
        tuning: What its training changes of the encoder.
    """

    intermediate: Intermediate
    hyperparameters: Hyperparameters
    place: str
    tasks: tuple[ResolvedTask, ...]
    plain_text: Task | None
    text_of: ResolvedTask | None
    align_to: ResolvedTask | None
    tuning: Tuning = FULL


@dataclass(frozen=True, slots=True)
class ResolvedStudy:
    """A study whose names are tasks.

    Attributes:
        arms: In the order of the study file; likewise `targets`.
    """

    study: Study
    arms: tuple[ResolvedArm, ...]
    targets: tuple[ResolvedTask, ...]


def load_study(path: str | Path, assignments: tuple[str, ...] = ()) -> Study:
    """Reads a study file, runs its `task_files`, and finds out whether its parts go together.

    Args:
        assignments: `key.path=value`, on top of the file.

    Raises:
        UserError: the file or a value in it cannot be used; says where and what is allowed.
    """
    study = Study.from_file(path, assignments)
    try:
        load_task_files(study)
        check_tasks(study)
        check_search(study)
    except UserError as error:
        raise UserError(f"{Path(path).expanduser()}: {error}") from None
    return study


def load_task_files(study: Study) -> None:
    """Runs the Python files in which a study defines tasks of its own.

    Raises:
        UserError: a file is missing, fails, or defines no task.
    """
    for path in study.task_files:
        load_task_file(Path(path))


def resolve(study: Study) -> ResolvedStudy:
    """Puts tasks in the place of their names.

    Raises:
        UserError: a name stands for nothing, or parts of the study do not go together.
    """
    load_task_files(study)
    check_tasks(study)
    check_search(study)
    arms = tuple(_arm(study, arm, f"intermediates.{index}") for index, arm in enumerate(study.intermediates))
    targets = tuple(_target(study, target, f"targets.{index}") for index, target in enumerate(study.targets))
    return ResolvedStudy(study, arms, targets)


def _arm(study: Study, arm: Intermediate, place: str) -> ResolvedArm:
    masked_lm = arm.masked_lm
    text_of = None if masked_lm is None else masked_lm.text_of
    return ResolvedArm(
        intermediate=arm,
        hyperparameters=study.hyperparameters.resolve(arm.untuned_label, arm.label),
        place=place,
        tasks=tuple(_trained(study, name, f"{place} ({name})") for name in arm.tasks),
        plain_text=masked_lm_task(masked_lm) if masked_lm is not None else None,
        text_of=None if text_of is None else _trained(study, text_of, f"{place}.masked_lm.text_of ({text_of})"),
        align_to=None if arm.align is None else _trained(study, arm.align.to, f"{place}.align.to ({arm.align.to})"),
        tuning=study.tuning_of(arm),
    )


def _trained(study: Study, name: str, place: str) -> ResolvedTask:
    """A task that an intermediate trains on: scored in its training language alone."""
    task = get_task(name)
    own = dev_languages(task, ())
    return ResolvedTask(task, study.hyperparameters.resolve(name), place, (), own, own)


def _target(study: Study, target: Target, place: str) -> ResolvedTask:
    task = get_task(target.task).by_metric(target.metric)
    languages = target.languages or task.languages
    return ResolvedTask(
        task=task,
        hyperparameters=study.hyperparameters.resolve(task.name),
        place=f"{place} ({task.name})",
        languages=languages,
        dev_languages=dev_languages(task, languages),
        picking_languages=dev_languages(task, languages if study.selection == "target_dev" else ()),
        tuning=study.tuning_of(target) if task.requires_training else FULL,
    )


def trains_on_target(arm: ResolvedArm, target: ResolvedTask) -> bool:
    """Whether an arm trains on a target's own training data."""
    return any(shares_training_data(one.task, target.task) for one in arm.tasks)
