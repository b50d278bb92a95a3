"""Trials of a hyperparameter search as stages: the same keys, ledger, faults and resume as a grid's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from raystilts.errors import UserError
from raystilts.planning.stage import Stage
from raystilts.planning.stages import plan
from raystilts.study.intermediate import Intermediate
from raystilts.study.schema import Study
from raystilts.study.search import Range, Search, Space, Value
from raystilts.study.target import Target
from raystilts.tasks.registry import get_task

Role = Literal["intermediate", "target"]
#: Name of the parameter that chooses the arm in a joint search.
ARM = "intermediate"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is searched on its own: one intermediate or one target.

    Attributes:
        name: Label of the intermediate or name of the target; what `hyperparameters.tasks` calls it.
    """

    name: str
    role: Role


def settings(study: Study) -> Search:
    """The search of a study.

    Raises:
        UserError: it has none.
    """
    if study.search is None:
        raise UserError(f"study {study.name!r} has no `search` block")
    return study.search


def _trains(task: str) -> bool:
    return get_task(task).requires_training


def units(study: Study, trains: Callable[[str], bool] = _trains) -> list[Unit]:
    """What a study searches: intermediates, then targets that train; only targets in a joint search.

    Args:
        trains: Whether a target trains, by its name; default as the registered task says.
    """
    arms = [] if settings(study).joint else [a.label for a in study.intermediates if not a.is_none]
    targets = [t.task for t in study.targets if trains(t.task) and t.task not in arms]
    return [*(Unit(name, "intermediate") for name in arms), *(Unit(name, "target") for name in targets)]


def space_of(study: Study, unit: Unit) -> Space:
    """The ranges of a unit; with the choice of the arm in a joint search."""
    search = settings(study)
    space = search.space_of(unit.name)
    if search.joint:
        labels = [arm.label for arm in study.intermediates]
        space = {ARM: Range(form="choice", values=tuple(labels)), **space}
    return space


def trial_study(study: Study, unit: Unit, values: Mapping[str, Value]) -> Study:
    """The study of one trial: one arm, one target, one seed, these values.

    A target is scored in its training language alone where it has it (and in the languages that pick the checkpoint):
    a search looks at dev, and the other languages would cost more than the training.
    """
    hyperparameters = {name: value for name, value in values.items() if name != ARM}
    tasks = dict(study.hyperparameters.tasks)
    own = tasks[unit.name].model_dump(exclude_unset=True) if unit.name in tasks else {}
    whole = study.hyperparameters.model_dump(exclude_unset=True) | {
        "tasks": {name: one.model_dump(exclude_unset=True) for name, one in tasks.items()}
        | {unit.name: own | hyperparameters}
    }
    arm = next(
        (a for a in study.intermediates if a.label == (unit.name if unit.role == "intermediate" else values.get(ARM))),
        Intermediate(),
    )
    update = {
        "intermediates": (arm,),
        "targets": _targets(study, unit),
        "seeds": study.seeds[:1],
        "baseline_seeds": None,
        "hyperparameters": type(study.hyperparameters).model_validate(whole),
        "search": None,
    }
    return study.model_copy(update=update)


def _targets(study: Study, unit: Unit) -> tuple[Target, ...]:
    if unit.role == "intermediate":
        return study.targets[:1]
    target = next(t for t in study.targets if t.task == unit.name)
    task = get_task(target.task)
    given = target.languages or task.languages
    numbers = target.examples or study.target_examples
    if numbers is not None:  # a trial trains on the most that the study does
        most = "all" if "all" in numbers else max(number for number in numbers if number != "all")
        target = target.model_copy(update={"examples": (most,)})
    if study.selection == "target_dev":
        return (target,)
    source = task.train_languages[0]
    return (target.model_copy(update={"languages": (source if source in task.languages else given[0],)}),)


def trial_stages(study: Study, unit: Unit, values: Mapping[str, Value]) -> list[Stage]:
    """The stages of one trial, the trial's own last; before it, in a joint search, the intermediate's.

    Trials train on all of their data: at fraction 1, or the largest fraction of the study.
    """
    variant = trial_study(study, unit, values)
    update = {
        "intermediate_fractions": study.intermediate_fractions.model_copy(
            update={"values": (study.compared_fraction,)}
        ),
        "compare_at": None,
        "target_fractions": study.target_fractions.model_copy(update={"values": (max(study.target_fractions.values),)}),
    }
    stages = plan(variant.model_copy(update=update)).stages.values()
    if unit.role == "intermediate":
        return [stage for stage in stages if stage.kind == "intermediate"]
    return list(stages)
