"""When a run may go on and when it is stopped: a file a schedule, with its settings and its rule.

To add a schedule is to add a file: settings derived from `StratumSettings` whose `rule` gives a `StratumRule`. They are
found by their `name`, which is what a study file writes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from raystilts.errors import did_you_mean, shown
from raystilts.schedules.asha import AshaRule, TrialAsha
from raystilts.schedules.base import (
    BASELINE,
    FullRule,
    Run,
    ScheduleSettings,
    SharedRule,
    SharedStratum,
    StratumRule,
    StratumSettings,
    Verdict,
)
from raystilts.schedules.halve import HalveRule
from raystilts.schedules.pooled_race import PooledRaceRule
from raystilts.schedules.race import RaceRule
from raystilts.schedules.top_two import TopTwoRule, TopTwoSettings

__all__ = [
    "BASELINE",
    "AshaRule",
    "FullRule",
    "HalveRule",
    "PooledRaceRule",
    "RaceRule",
    "Run",
    "Schedule",
    "ScheduleSettings",
    "SharedRule",
    "SharedStratum",
    "StratumRule",
    "TopTwoRule",
    "TopTwoSettings",
    "TrialAsha",
    "Verdict",
    "schedule_name",
    "stratum_rule",
]


def _found() -> dict[str, type[ScheduleSettings]]:
    """The settings that the files of this room define, by name."""
    models: dict[str, type[ScheduleSettings]] = {}
    for found in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{found.name}")).values():
            if isinstance(value, type) and issubclass(value, ScheduleSettings) and "name" in vars(value):
                models[value.name] = value
    return models


_MODELS = _found()


def _read(data: Any) -> Any:
    """From what a study file may say to `full` or settings."""
    if data == "full" or isinstance(data, ScheduleSettings):
        return data
    if isinstance(data, str):
        data = {data: {}}
    if not isinstance(data, dict) or len(data) != 1:
        forms = ", ".join(f"{{{name}: {{{model.example}}}}}" for name, model in _MODELS.items())
        raise ValueError(
            f"{shown(data)} is not a schedule; write full, {', '.join(_MODELS)}, or one with settings: {forms}"
        )
    (name, settings), *_ = data.items()
    if name not in _MODELS:
        raise ValueError(f"{shown(name)} is not a schedule; {did_you_mean(str(name), ('full', *_MODELS))}")
    model = _MODELS[name]
    for key, value in settings.items() if isinstance(settings, dict) else ():
        # Python counts `true` as 1; whoever writes it means something else.
        if isinstance(value, bool) and key in model.model_fields and model.model_fields[key].annotation is not bool:
            raise ValueError(f"{name}.{key}: {value} is no number; write one")
    try:
        return model.model_validate({} if settings is None else settings)
    except ValidationError as error:
        raise ValueError(f"{name}{_problem(error, model)}") from None


def _problem(error: ValidationError, model: type[ScheduleSettings]) -> str:
    """The first problem in a schedule's settings, beginning with its place."""
    problem = error.errors()[0]
    place = "".join(f".{part}" for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such setting; {did_you_mean(str(problem['loc'][-1]), model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    hint = model.hints.get(place.removeprefix("."))
    given = "" if problem["type"] == "value_error" else f" (given: {shown(problem['input'])})"
    return f"{place}: {message}{f'; {hint}' if hint else ''}{given}"


Schedule = Annotated[Literal["full"] | SerializeAsAny[ScheduleSettings], BeforeValidator(_read)]


def schedule_name(schedule: Schedule) -> str:
    """A schedule's name, without its settings."""
    return schedule if isinstance(schedule, str) else schedule.name


def rungs_of(schedule: Schedule) -> tuple[float, ...]:
    """Shares of a run's updates at which runs may be stopped."""
    return () if isinstance(schedule, str) else schedule.rungs


def stratum_rule(schedule: Schedule, runs: Iterable[Run]) -> StratumRule:
    """The rule of one stratum, where each stratum has its own.

    Args:
        schedule: As the study file says; not `top_two`, whose rule is one for all strata.
        runs: The stratum's runs that compete, and those of the baseline; each arm's seeds in the study's order.
    """
    return schedule.rule(list(runs)) if isinstance(schedule, StratumSettings) else FullRule(runs)
