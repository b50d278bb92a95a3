"""When a study stops what cannot win: the settings of `schedule`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from raystilts.errors import did_you_mean

_SAME_RUNG = 0.01  # a rung this close to max_t is max_t


class Asha(BaseModel):
    """Successive halving over arms: the arms that are behind at a rung stop there.

    Attributes:
        grace_period: Share of a run's updates at the first rung; nothing is stopped before.
        reduction_factor: Of n arms at a rung, ceil(n / reduction_factor) go on; also the distance between rungs.
        max_t: Share from which on nothing is stopped any more.
        finish_stopped: Run stopped cells to the end too, on devices that would idle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"asha": handler(self)}


class Race(BaseModel):
    """Racing over seeds: every run to the end, more seeds only for the arms that may be the best.

    Attributes:
        min_seeds: Seeds that every arm gets.
        max_seeds: Seeds after which the race ends; None: all of the study's.
        confidence: Of the one-sided bound by which an arm must be behind to be dropped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_seeds: Annotated[int, Field(ge=2)] = 2
    max_seeds: Annotated[int, Field(ge=2)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_seeds is not None and self.max_seeds < self.min_seeds:
            raise ValueError(f"max_seeds {self.max_seeds} must not be below min_seeds {self.min_seeds}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"race": handler(self)}


_MODELS: dict[str, type[Asha] | type[Race]] = {"asha": Asha, "race": Race}
_FORMS = "full, asha, race, {asha: {grace_period: 0.5, ...}} or {race: {min_seeds: 2, ...}}"


def _read(data: Any) -> Any:
    """From what a study file may say to `full` or a model."""
    if data == "full" or isinstance(data, Asha | Race):
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
}

Schedule = Annotated[Literal["full"] | Asha | Race, BeforeValidator(_read)]


def schedule_name(schedule: Schedule) -> str:
    """A schedule's name, without its settings."""
    return schedule if isinstance(schedule, str) else type(schedule).__name__.lower()


def check_seeds(schedule: Schedule, n_seeds: int) -> None:
    """Refuses a race over more seeds than there are.

    Args:
        schedule: The study's schedule.
        n_seeds: Seeds of an arm.

    Raises:
        ValueError: Says what is asked for and what is there.
    """
    if not isinstance(schedule, Race):
        return
    for name, asked in (("min_seeds", schedule.min_seeds), ("max_seeds", schedule.max_seeds)):
        if asked is not None and asked > n_seeds:
            raise ValueError(
                f"schedule.race.{name} is {asked}, but the study has {n_seeds} seed{'s' if n_seeds > 1 else ''}; "
                f"give more seeds, or a smaller {name}"
            )
