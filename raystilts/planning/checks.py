"""What no field of a study file can say by itself: whether its parts go together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raystilts.errors import UserError, did_you_mean
from raystilts.study.arms import NONE, Arms
from raystilts.study.hyperparameters import Overrides
from raystilts.study.intermediate import Intermediate, domain_of
from raystilts.study.schema import Study
from raystilts.tasks.languages import retired
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.task import Task


def named_tasks(study: Study) -> dict[str, Task]:
    """The tasks that a study names, each looked up once.

    Raises:
        UserError: there is none of a name; names the place in the study file.
    """
    places: dict[str, str] = {}
    arms = Arms(study.intermediates)
    for index, arm in enumerate(study.intermediates):
        place = f"intermediates.{index}"
        given = {place: arm.tasks, f"{place}.sequence": (), f"{place}.trained_on": ()}
        if arm.sequence is not None:
            given[f"{place}.sequence"] = tuple(task for one in arms.members(arm) for task in one.tasks)
        if arm.checkpoint is not None:
            given[f"{place}.trained_on"] = arm.checkpoint.trained_on
        if arm.align is not None:
            given[f"{place}.align.to"] = (arm.align.to,)
        if arm.masked_lm is not None and arm.masked_lm.text_of is not None:
            given[f"{place}.masked_lm.text_of"] = (arm.masked_lm.text_of,)
        places |= {name: where for where, names in given.items() for name in names if name not in places}
    places |= {one.task: f"targets.{i}" for i, one in enumerate(study.targets) if one.task not in places}
    found = {}
    for name, place in places.items():
        try:
            found[name] = get_task(name)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
    return found


def check_tasks(study: Study, tasks: Mapping[str, Task]) -> None:
    """Finds out whether the tasks and languages that a study names can be used as it uses them.

    Args:
        tasks: `named_tasks`.

    Raises:
        UserError: one cannot; names the place in the study file.
    """
    for index, arm in enumerate(study.intermediates):
        for name in arm.tasks:
            _check_trains(tasks[name], f"intermediates.{index}")
        if arm.name in all_tasks() and arm.tasks != (arm.name,):
            raise UserError(
                f"intermediates.{index}.name: {arm.name!r} is the name of a task, and the arm trains on something "
                "else; take another name"
            )
        if arm.is_composed:
            _check_composed(study, arm, tasks, f"intermediates.{index}")
        if arm.align is not None:
            _check_domain(tasks[arm.align.to], arm.tasks, f"intermediates.{index}.align.to")
        if arm.masked_lm is not None and arm.masked_lm.text_of is not None:
            _check_domain(tasks[arm.masked_lm.text_of], (), f"intermediates.{index}.masked_lm.text_of")
    names = _trained(study) | all_tasks().keys()
    for name in study.hyperparameters.tasks:
        if name not in names:
            raise UserError(f"hyperparameters.tasks.{name}: no such task or arm; {did_you_mean(name, names)}")
        mixture = any(arm.label == name and arm.tasks != (name,) for arm in study.intermediates)
        if mixture and study.hyperparameters.tasks[name].max_train_samples is not None:
            raise UserError(
                f"hyperparameters.tasks.{name}.max_train_samples: {name!r} has no data of its own; set it for its tasks"
            )
    for index, target in enumerate(study.targets):
        task = tasks[target.task]
        if "@" in target.task and not task.requires_training:
            raise UserError(f"targets.{index}: {target.task}: nothing is trained on {task.name.partition('@')[0]}; "
                            "leave its training languages out")  # fmt: skip
        if target.examples is not None and not task.requires_training:
            raise UserError(f"targets.{index}.examples: nothing is trained on {task.name}; leave them out")
        try:
            task.by_metric(target.metric)
        except UserError as error:
            raise UserError(f"targets.{index}.metric: {error}") from None
        if task.main_score not in task.type.metrics:
            hint = did_you_mean(task.main_score, task.type.metrics)
            raise UserError(f"targets.{index}: {task.name}: main_score {task.main_score!r} is no score of it; {hint}")
        for language in target.languages or ():
            if language not in task.languages:
                hint = did_you_mean(language, task.languages) + retired(language)
                raise UserError(f"targets.{index}.languages: {task.name} has no {language!r}; {hint}")
        if len(set(target.languages or ())) < len(target.languages or ()):
            raise UserError(f"targets.{index}.languages: a language is given twice")
        _check_scored(task, f"targets.{index}")
        if target.tuning is not None and not task.requires_training:
            raise UserError(f"targets.{index}.tuning: {task.name} is scored without training; leave tuning out")


def unused_settings(study: Study) -> list[str]:
    """Names under `hyperparameters.tasks` of what the study does not train: nothing reads their values."""
    used = _trained(study)
    return [name for name in study.hyperparameters.tasks if name not in used]


def without_unused(study: Study) -> Study:
    """The study without the hyperparameters of what it does not train."""
    names, own = _trained(study), _own_trainings(study) | {target.task for target in study.targets}
    tasks = {}
    for name, given in study.hyperparameters.tasks.items():
        fields = {field: value for field, value in given.model_dump(exclude_unset=True).items()
                  if name in own or (name in names and field in _OF_DATA)}  # fmt: skip
        if fields:
            tasks[name] = Overrides(**fields)
    return study.model_copy(update={"hyperparameters": study.hyperparameters.model_copy(update={"tasks": tasks})})


#: The hyperparameters that are of data; all others are of a training.
_OF_DATA = {"max_train_samples", "num_train_examples", "max_length"}


def check_settings(study: Study, written: Mapping[str, Mapping[str, object] | None], tasks: Mapping[str, Task]) -> None:
    """Finds out whether a study trains what its file has hyperparameters for.

    Args:
        written: `hyperparameters.tasks` of the file itself; what comes from `from: FILE` is for other studies too.
        tasks: `named_tasks`.

    Raises:
        UserError: it does not; names the place in the study file.
    """
    names = _trained(study)
    own = _own_trainings(study) | {target.task for target in study.targets if tasks[target.task].requires_training}
    for name, given in written.items():
        if name not in names:
            raise UserError(
                f"hyperparameters.tasks.{name}: this study does not train {name!r}; leave it out, or add it to the "
                f"intermediates or targets; {did_you_mean(name, names)}"
            )
        odd = [field for field, value in (given or {}).items() if value is not None and field not in _OF_DATA]
        if odd and name not in own:
            raise UserError(
                f"hyperparameters.tasks.{name}.{odd[0]}: {name!r} has no training of its own in this study, which uses "
                f"its data alone; set it for what is trained (of data are {', '.join(sorted(_OF_DATA))})"
            )


def _own_trainings(study: Study) -> set[str]:
    """The names of a study's arms and of their members, which have a training each."""
    arms = Arms(study.intermediates)
    members = (one for arm in study.intermediates for one in (arm, *arms.members(arm)))
    return {name for one in members for name in (one.label, one.untuned_label)}


def _trained(study: Study) -> set[str]:
    """All names by which the hyperparameters of a study's tasks and arms are looked up."""
    arms = Arms(study.intermediates)
    found = _own_trainings(study) | {target.task for target in study.targets}
    for arm in study.intermediates:
        for one in (arm, *arms.members(arm)):
            domain = domain_of(one)
            found |= {*arms.tasks_of(one), *([domain] if domain else [])}
    return found - {NONE.label}


def _check_composed(study: Study, arm: Intermediate, tasks: Mapping[str, Task], place: str) -> None:
    """Whether what a composed arm names can be a part of it."""
    if arm.label in all_tasks():
        raise UserError(f"{place}: {arm.label!r} is the name of a task, and the arm is not that one; give it a name")
    for member in Arms(study.intermediates).members(arm) if arm.sequence is not None else ():
        for name in member.tasks:
            _check_trains(tasks[name], f"{place}.sequence")
    if arm.checkpoint is not None and study.encoders is not None:
        raise UserError(f"{place}.checkpoint: a checkpoint is of one encoder; give that as `encoder`, not `encoders`")
    if arm.label in study.hyperparameters.tasks:
        raise UserError(
            f"hyperparameters.tasks.{arm.label}: the arm has no training of its own; set them for its members"
        )


def _check_trains(task: Task, place: str) -> None:
    """Whether an arm can train on a task."""
    if task.requires_training and task.train is not None:
        return
    known = [name for name, one in all_tasks().items() if one.train is not None and one.requires_training]
    hint = did_you_mean(task.name, known) if not task.requires_training else "give the task train = Source(...)"
    raise UserError(f"{place}: {task.name!r} has no training data; it can only be a target; {hint}")


def _check_scored(task: Task, place: str) -> None:
    """Whether a task can be a target: it trains if its type does, and there is something to score."""
    missing = None
    if task.requires_training and task.train is None:
        missing = "train = Source(...): a target of its type is trained"
    elif not task.languages or task.test is None:
        missing = "languages and test = Source(...): the answer is of test data"
    if missing is not None:
        raise UserError(f"{place}: {task.name!r} cannot be a target; give the task {missing}")


def _check_domain(task: Task, own: tuple[str, ...], place: str) -> None:
    """Whether a task's training texts can be another domain for an arm that trains on its `own` tasks."""
    if task.train is None or task.type.head == "masked_lm":
        raise UserError(f"{place}: {task.name!r} has no training texts of its own; name a task that is trained")
    if task.name in own:
        raise UserError(f"{place}: {task.name!r} is what the arm trains on; name the task of another domain")


def check_search(study: Study, tasks: Mapping[str, Task]) -> None:
    """Finds out whether tuned values are for the study's encoder, and whether a search can be run.

    Args:
        tasks: `named_tasks`.

    Raises:
        UserError: not so; names the place in the study file.
    """
    tuned_for, encoder = study.hyperparameters.tuned_for, study.encoder.model_name_or_path
    if tuned_for is not None and Path(tuned_for).name != Path(encoder).name:
        raise UserError(
            f"hyperparameters.from: these values were found for {tuned_for!r}, but encoder.model_name_or_path is "
            f"{encoder!r}; search again for it, or copy the values to hyperparameters.tasks"
        )
    if study.search is None:
        return
    if study.encoders is not None:
        raise UserError("search: a search is of one encoder; give one as `encoder`, and search for each")
    for index, arm in enumerate(study.intermediates):
        if arm.is_composed:
            raise UserError(
                f"intermediates.{index}: {arm.label}: a search tries hyperparameters of single trainings; leave this "
                "arm out of it"
            )
    arms = [] if study.search.joint else [arm.label for arm in study.intermediates if not arm.is_none]
    names = [*arms, *(t.task for t in study.targets if tasks[t.task].requires_training)]
    if not names:
        raise UserError("search: no intermediate or target of the study trains")
    for name in study.search.tasks:
        if name not in names:
            raise UserError(f"search.tasks.{name}: not searched in this study; {did_you_mean(name, names)}")
    searched = [] if study.search.joint else [task for arm in study.intermediates for task in arm.tasks]
    units = [tasks[name] for name in (*searched, *(target.task for target in study.targets))]
    _check_metric([task for task in units if task.requires_training], study.search.metric)
    mixtures = [arm.label for arm in study.intermediates if arm.label in names and arm.tasks != (arm.label,)]
    for name in mixtures:
        if "max_train_samples" in study.search.space_of(name):
            raise UserError(f"search.space.max_train_samples: {name!r} has no data of its own; leave it out")


def _check_metric(tasks: list[Task], metric: str | None) -> None:
    """Every unit of a search must report its metric."""
    for task in tasks:
        if metric is not None and metric not in task.type.metrics:
            known = sorted({name for one in tasks for name in one.type.metrics})
            raise UserError(f"search.metric: {task.name} reports no {metric!r}; {did_you_mean(metric, known)}")
