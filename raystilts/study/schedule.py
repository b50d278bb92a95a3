"""When a study stops what cannot win: the settings of `schedule`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from raystilts.errors import did_you_mean

_SAME_RUNG = 0.01  # a rung this close to max_t is max_t
_ROUNDING = 1e-9  # a third of 21 arms is seven

#: How many arms: a number, a share of all arms (below 1), or all of them.
Places = Literal["all"] | int | float
_KEEP: tuple[Places, ...] = ("all", 4, 3)  # what was measured to be enough: docs/schedules.md
Order = Literal["anytime", "longest_first"]


def places_of(places: Places, arms: int) -> int:
    """How many of so many arms; a share is rounded up."""
    if places == "all":
        return arms
    return min(arms, places if isinstance(places, int) else math.ceil(places * arms - _ROUNDING))


class _Settings(BaseModel):
    """The settings of one schedule; written as `{name: {...}}`.

    Attributes:
        name: What a study file calls the schedule.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {self.name: handler(self)}


class Asha(_Settings):
    """Successive halving over arms: the arms that are behind at a rung stop there.

    Attributes:
        grace_period: Share of a run's updates at the first rung; nothing is stopped before.
        reduction_factor: Of n arms at a rung, ceil(n / reduction_factor) go on; also the distance between rungs.
        max_t: Share from which on nothing is stopped any more.
        finish_stopped: Run stopped cells to the end too, on devices that would idle.
    """

    name: ClassVar[str] = "asha"

    grace_period: Annotated[float, Field(gt=0, lt=1)] = 0.5
    reduction_factor: Annotated[float, Field(gt=1, le=1000)] = 2.0
    max_t: Annotated[float, Field(gt=0, le=1)] = 1.0
    finish_stopped: bool = False

    @model_validator(mode="after")
    def _has_a_rung(self) -> Self:
        if not self.rungs:
            raise ValueError(
                f"grace_period {self.grace_period:g} must be below max_t {self.max_t:g}: there is no rung to stop at"
            )
        return self

    @property
    def rungs(self) -> tuple[float, ...]:
        """The shares at which arms are compared: grace_period * reduction_factor ** i, below max_t."""
        rungs, rung = [], self.grace_period
        while rung < self.max_t - _SAME_RUNG:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)


class Race(_Settings):
    """Racing over seeds: every run to the end, more seeds only for the arms that may be the best.

    Attributes:
        min_seeds: Seeds that every arm gets.
        max_seeds: Seeds after which the race ends; None: all of the study's.
        confidence: Of the one-sided bound by which an arm must be behind to be dropped.
    """

    name: ClassVar[str] = "race"

    min_seeds: Annotated[int, Field(ge=2)] = 2
    max_seeds: Annotated[int, Field(ge=2)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_seeds is not None and self.max_seeds < self.min_seeds:
            raise ValueError(f"max_seeds {self.max_seeds} must not be below min_seeds {self.min_seeds}")
        return self


class Halve(_Settings):
    """Halving over seeds: one seed of every arm to the end, further seeds of the best few.

    Attributes:
        keep: Arms that get a first seed (all), a second, and so on: numbers, or shares of all arms. None: all, 4, 3.
        rung: Share of a run's updates at which first seeds are compared; only the best go on. None: at their end.
        rung_keep: Arms whose first seed goes on beyond the rung.
    """

    name: ClassVar[str] = "halve"

    keep: Annotated[tuple[Places, ...] | None, Field(min_length=1)] = None
    rung: Annotated[float, Field(gt=0, lt=1)] | None = None
    rung_keep: Places = 0.5

    @field_validator("keep", mode="before")
    @classmethod
    def _are_places(cls, keep: Any) -> Any:
        if isinstance(keep, list | tuple):
            for one in keep:
                _check_places(one)
        return keep

    @field_validator("rung_keep", mode="before")
    @classmethod
    def _is_places(cls, places: Any) -> Any:
        _check_places(places)
        return places

    @model_validator(mode="after")
    def _narrows(self) -> Self:
        if self.keep is None:
            return self
        if self.keep[0] != "all":
            raise ValueError(f"keep must begin with all, not {self.keep[0]!r}: there is no score yet to choose by")
        for before, after in pairwise(self.keep):
            if (type(before) is type(after) and before < after) or (after == "all" != before):  # type: ignore[operator]
                raise ValueError(f"keep must not rise, but has {after} after {before}")
        return self

    def places(self, n_seeds: int) -> tuple[Places, ...]:
        """Arms that get a first seed, a second, and so on, in a study with so many seeds."""
        return self.keep or _KEEP[:n_seeds]


class TopTwo(_Settings):
    """Top-two sampling on one posterior for all targets: each next run where it tells most of what is best.

    At most one of `budget`, `runs` and `gpu_hours` is given; without any, `budget` is `DEFAULT_BUDGET` with a prior and
    `BUDGET_ALONE` without.

    Attributes:
        budget: Target runs, as a share of the full grid's.
        runs: Target runs.
        gpu_hours: Device time of targets and intermediates together.
        tolerance: A target is done when the expected regret of its leader is below so many points (hundredths of a
            score), or when the leader is the best with probability .95. None: the budget is used up.
        prior: Results folders of earlier studies, with any encoder; arms and targets are matched by name.
        round_size: Runs that are decided on at a time; None: one for each target, at least 4. Two rounds are
            under way at a time, so on more devices than that say more.
    """

    name: ClassVar[str] = "top_two"
    DEFAULT_BUDGET: ClassVar[float] = 0.25
    BUDGET_ALONE: ClassVar[float] = 0.35

    budget: Annotated[float, Field(gt=0, le=1)] | None = None
    runs: Annotated[int, Field(ge=1)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=100)] | None = None
    prior: tuple[str, ...] = ()
    round_size: Annotated[int, Field(ge=1)] | None = None

    @field_validator("prior", mode="before")
    @classmethod
    def _is_a_list(cls, prior: Any) -> Any:
        return (prior,) if isinstance(prior, str) else prior

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        given = [name for name in ("budget", "runs", "gpu_hours") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both limit what is trained; give one of them")
        return self

    @property
    def share(self) -> float:
        """The budget as a share of the full grid's target runs, where it is neither `runs` nor `gpu_hours`."""
        return self.budget or (self.DEFAULT_BUDGET if self.prior else self.BUDGET_ALONE)


def _check_places(places: Any) -> None:
    """Refuses what is neither `all`, nor a number of arms, nor a share of them."""
    if places == "all" or (isinstance(places, float) and 0 < places < 1) or (type(places) is int and places >= 1):
        return
    raise ValueError(f"{places!r} is not a number of arms, a share of them (below 1), or all")


_MODELS: dict[str, type[_Settings]] = {model.name: model for model in (Asha, Race, Halve, TopTwo)}
_FORMS = (
    "full, asha, race, halve or top_two, or one with settings: {asha: {grace_period: 0.5, ...}}, "
    "{race: {min_seeds: 2, ...}}, {halve: {keep: [all, 4, 2, 2]}}, {top_two: {budget: 0.25, ...}}"
)


def _read(data: Any) -> Any:
    """From what a study file may say to `full` or a model."""
    if data == "full" or isinstance(data, _Settings):
        return data
    if isinstance(data, str):
        data = {data: {}}
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError(f"{data!r} is not a schedule; write {_FORMS}")
    (name, settings), *_ = data.items()
    if name not in _MODELS:
        raise ValueError(f"{name!r} is not a schedule; {did_you_mean(str(name), ('full', *_MODELS))}")
    model = _MODELS[name]
    try:
        return model.model_validate({} if settings is None else settings)
    except ValidationError as error:
        raise ValueError(f"{name}{_problem(error, model)}") from None


def _problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem in a schedule's settings, beginning with its place."""
    problem = error.errors()[0]
    place = "".join(f".{part}" for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: no such setting; {did_you_mean(str(problem['loc'][-1]), model.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if problem["type"] == "value_error" else f" (given: {problem['input']!r})"
    return f"{place}: {message}{_MEANING.get(place, '')}{given}"


_MEANING = {
    ".grace_period": "; it is a share of a run's updates, such as 0.5",
    ".max_t": "; it is a share of a run's updates, 1 for all",
    ".min_seeds": "; with one seed nothing is known of the noise",
    ".confidence": "; such as 0.9",
    ".budget": "; it is a share of the full grid's target runs, such as 0.25",
    ".tolerance": "; it is in points, hundredths of a score, such as 0.5",
}

Schedule = Annotated[Literal["full"] | Asha | Race | Halve | TopTwo, BeforeValidator(_read)]


def schedule_name(schedule: Schedule) -> str:
    """A schedule's name, without its settings."""
    return schedule if isinstance(schedule, str) else schedule.name


def rungs_of(schedule: Schedule) -> tuple[float, ...]:
    """Shares of a run's updates at which runs may be stopped."""
    if isinstance(schedule, Halve):
        return () if schedule.rung is None else (schedule.rung,)
    return schedule.rungs if isinstance(schedule, Asha) else ()


def check_seeds(schedule: Schedule, n_seeds: int) -> None:
    """Refuses a race or halving over more seeds than there are.

    Args:
        schedule: The study's schedule.
        n_seeds: Seeds of an arm.

    Raises:
        ValueError: Says what is asked for and what is there.
    """
    has = f"the study has {n_seeds} seed{'s' if n_seeds > 1 else ''}"
    if isinstance(schedule, Halve) and schedule.keep is not None and len(schedule.keep) > n_seeds:
        rounds = len(schedule.keep)
        raise ValueError(f"schedule.halve.keep asks for {rounds} seeds, but {has}; give more seeds, or a shorter keep")
    if not isinstance(schedule, Race):
        return
    for name, asked in (("min_seeds", schedule.min_seeds), ("max_seeds", schedule.max_seeds)):
        if asked is not None and asked > n_seeds:
            raise ValueError(f"schedule.race.{name} is {asked}, but {has}; give more seeds, or a smaller {name}")
