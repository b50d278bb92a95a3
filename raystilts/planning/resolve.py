"""What the names in a study file stand for: each task, language and hyperparameter looked up once, before planning.

`load_study` reads a study file and runs its `task_files`; `resolve` finds out whether the parts of a study go together
and puts the registered tasks in the place of their names. What comes after (stages, training, scheduling) carries what
was found here and looks nothing up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from raystilts.errors import UserError
from raystilts.planning.checks import check_search, check_settings, check_tasks, named_tasks
from raystilts.planning.data import StudyData, dev_languages, masked_lm_task
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.foreign import describe_foreign
from raystilts.study.adapters import FULL, Tuning
from raystilts.study.arms import Arms, prefix_of
from raystilts.study.base import expanded
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study, study_data
from raystilts.study.target import Target
from raystilts.tasks.registry import load_task_file
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
        trained: Its training; of a sequence the last one, which its tasks and hyperparameters are of too.
        tasks: What it trains on, in the order of the study file; none for `none` and for masked LM alone.
        plain_text: The text of its masked LM, where that is a dataset.
        text_of: The task whose training texts are the text of its masked LM.
        align_to: The task whose training texts it is drawn to.
        data: The tasks whose training data is in its weights.
        start: The arm that its training starts from; None for the pretrained encoder.
        whole: The arm on the way of whose training it is.
        along: The arms on the way of its training, in the order of its updates.
        members: The arms that it merges.
        foreign: The checkpoint from elsewhere that it is.
        has_seeds: Whether its weights depend on the seed; likewise `has_fractions`, on the intermediate fraction.
        tuning: What its training changes of the encoder.
    """

    intermediate: Intermediate
    trained: Intermediate
    hyperparameters: Hyperparameters
    place: str
    tasks: tuple[ResolvedTask, ...]
    plain_text: Task | None
    text_of: ResolvedTask | None
    align_to: ResolvedTask | None
    tuning: Tuning = FULL
    data: tuple[Task, ...] = ()
    start: ResolvedArm | None = None
    members: tuple[ResolvedArm, ...] = ()
    whole: ResolvedArm | None = None
    along: tuple[Intermediate, ...] = ()
    foreign: EncoderInfo | None = None
    has_seeds: bool = True
    has_fractions: bool = True

    @property
    def parts(self) -> tuple[ResolvedArm, ...]:
        """The arms that it is made of, their parts among them, and itself last."""
        direct = (*self.members, *(one for one in (self.start, self.whole) if one is not None))
        return (*(one for part in direct for one in part.parts), self)


@dataclass(frozen=True, slots=True)
class ResolvedStudy:
    """A study whose names are tasks.

    Attributes:
        arms: In the order of the study file; likewise `targets`.
        data: What is known of its data; each set is looked at once, when it is first asked for.
        parts: That of each encoder, where the study has several.
    """

    study: Study
    arms: tuple[ResolvedArm, ...]
    targets: tuple[ResolvedTask, ...]
    data: StudyData
    parts: tuple[ResolvedStudy, ...] = ()

    @property
    def all_arms(self) -> tuple[ResolvedArm, ...]:
        """The arms with all that they are made of, each once."""
        return tuple({one.intermediate: one for arm in self.arms for one in arm.parts}.values())


def load_study(path: str | Path, assignments: tuple[str, ...] = ()) -> Study:
    """Reads a study file, runs its `task_files`, and finds out whether its parts go together.

    Args:
        assignments: `key.path=value`, on top of the file.

    Raises:
        UserError: the file or a value in it cannot be used; says where and what is allowed.
    """
    study = Study.from_file(path, assignments)
    # Of arms and targets that --set drops, the file may keep the settings.
    drops = any(one.startswith(("intermediates=", "targets=")) for one in assignments)
    try:
        tasks = _checked_tasks(study)
        if study.hyperparameters.tasks and not drops:
            written = study_data(expanded(path), assignments)["hyperparameters"]
            check_settings(study, written.get("tasks") or {}, tasks)
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


def _checked_tasks(study: Study) -> dict[str, Task]:
    load_task_files(study)
    tasks = named_tasks(study)
    check_tasks(study, tasks)
    for one in (study, *(study.of_encoder(encoder.label) for encoder in study.encoders or ())):
        check_search(one, tasks)
    return tasks


def resolve(study: Study) -> ResolvedStudy:
    """Puts tasks in the place of their names.

    Raises:
        UserError: a name stands for nothing, parts of the study do not go together, or it has no such data folder.
    """
    tasks = _checked_tasks(study)
    data = StudyData(study)
    parts = [_resolved(study.of_encoder(one.label), tasks, data) for one in study.encoders or ()]
    return replace(_resolved(study, tasks, data), parts=tuple(parts))


def _resolved(study: Study, tasks: Mapping[str, Task], data: StudyData) -> ResolvedStudy:
    arms = _Arms(study, tasks)
    targets = tuple(_target(study, one, tasks[one.task], f"targets.{i}") for i, one in enumerate(study.targets))
    return ResolvedStudy(study, tuple(arms.of(arm) for arm in study.intermediates), targets, data)


class _Arms:
    """Resolves the arms of a study, each once, and what they are made of."""

    def __init__(self, study: Study, tasks: Mapping[str, Task]) -> None:
        self.study, self.tasks, self.arms = study, tasks, Arms(study.intermediates)
        self.places = {arm: f"intermediates.{index}" for index, arm in enumerate(study.intermediates)}
        self.found: dict[Intermediate, ResolvedArm] = {}

    def of(self, arm: Intermediate, place: str = "") -> ResolvedArm:
        """One arm.

        Args:
            place: In the study file, of the arm that it is a part of; of no consequence for an arm of the study.
        """
        if arm not in self.found:
            self.found[arm] = self._resolved(arm, self.places.get(arm, place))
        return self.found[arm]

    def _resolved(self, arm: Intermediate, place: str) -> ResolvedArm:
        study, members = self.study, self.arms.members(arm)
        if arm.step is not None:
            whole = self.of(self.arms.whole(arm), place)
            return replace(whole, intermediate=arm, place=place, whole=whole, along=())
        trained = members[-1] if arm.sequence is not None else arm
        masked_lm, align = trained.masked_lm, trained.align
        text_of = None if masked_lm is None else masked_lm.text_of
        return ResolvedArm(
            intermediate=arm,
            trained=trained,
            hyperparameters=study.hyperparameters.resolve(trained.untuned_label, trained.label),
            place=place,
            tasks=tuple(self._trained(name, f"{place} ({name})") for name in trained.tasks),
            plain_text=masked_lm_task(masked_lm) if masked_lm is not None else None,
            text_of=None if text_of is None else self._trained(text_of, f"{place}.masked_lm.text_of ({text_of})"),
            align_to=None if align is None else self._trained(align.to, f"{place}.align.to ({align.to})"),
            tuning=FULL if arm.checkpoint or arm.merge else study.tuning_of(trained),
            data=tuple(self.tasks[name] for name in self.arms.tasks_of(arm)),
            start=None if arm.sequence is None else self.of(prefix_of(arm.sequence, self.arms), place),
            members=tuple(self.of(one, place) for one in members) if arm.merge is not None else (),
            along=tuple(self.arms.steps_of(arm)),
            foreign=None if arm.checkpoint is None else describe_foreign(arm.checkpoint, study.encoder, place),
            has_seeds=self.arms.has_seeds(arm),
            has_fractions=self.arms.has_fractions(arm),
        )

    def _trained(self, name: str, place: str) -> ResolvedTask:
        """A task that an intermediate trains on: scored in its training language alone."""
        own = dev_languages(self.tasks[name], ())
        return ResolvedTask(self.tasks[name], self.study.hyperparameters.resolve(name), place, (), own, own)


def _target(study: Study, target: Target, task: Task, place: str) -> ResolvedTask:
    task = task.by_metric(target.metric)
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
    """Whether a target's own training data is in an arm's weights."""
    return any(shares_training_data(one, target.task) for one in arm.data)
