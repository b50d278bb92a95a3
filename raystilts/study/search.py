"""What a hyperparameter search asks for: the space of values, and how it is searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from raystilts.errors import cut, did_you_mean, shown
from raystilts.schedules import Schedule
from raystilts.schedules.asha import Asha
from raystilts.study.base import Model
from raystilts.study.hyperparameters import RETIRED, Overrides

Value: TypeAlias = int | float | str | bool
#: Trials of a task: a thousand times what searches in the literature spend, and few enough to keep in memory.
MOST_TRIALS = 100_000
#: Combinations of a grid, and of these the most values of one hyperparameter.
MOST_COMBINATIONS = 1_000_000
FORMS = ("loguniform", "uniform", "int", "choice")


class Range(Model):
    """The values that one hyperparameter may take.

    Written as one of `{loguniform: [1e-6, 1e-4]}`, `{uniform: [0, 0.1]}`, `{int: [1, 5]}` (both ends belong to it),
    `{choice: [16, 32, 64]}`.

    Attributes:
        low: Smallest value; None for a choice. Likewise `high`.
    """

    form: Literal["loguniform", "uniform", "int", "choice"]
    low: float | None = None
    high: float | None = None
    values: tuple[Value, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, dict) and "form" in data:
            return data
        if not isinstance(data, dict) or len(data) != 1:
            raise ValueError(
                f"{shown(data)} is not a range; write one of {{{'}, {'.join(f + ': [...]' for f in FORMS)}}}"
            )
        form, values = next(iter(data.items()))
        if form not in FORMS:
            raise ValueError(f"{shown(form)} is not a kind of range; {did_you_mean(str(form), FORMS)}")
        if not isinstance(values, list | tuple):
            raise ValueError(f"{form}: {shown(values)} is not a list")
        if form == "choice":
            return {"form": form, "values": values}
        if len(values) != 2 or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
            raise ValueError(
                f"{form}: {shown(list(values))} is not a range; give two numbers, the smallest and the largest"
            )
        return {"form": form, "low": values[0], "high": values[1]}

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.form == "choice":
            if not self.values:
                raise ValueError("choice: [] has no values")
            if len(set(map(repr, self.values))) < len(self.values):
                raise ValueError(f"choice: a value stands twice in {shown(list(self.values))}")
            return self
        low, high = self.ends
        if low > high:
            raise ValueError(f"{self.form}: [{low:g}, {high:g}] is upside down; the smaller number comes first")
        if low == high:
            raise ValueError(f"{self.form}: [{low:g}, {high:g}] is empty; to fix a value, set it under hyperparameters")
        if self.form == "loguniform" and low <= 0:
            raise ValueError(f"loguniform: [{low:g}, {high:g}] holds 0 or less, which has no logarithm; use uniform")
        if self.form == "int" and (low % 1 or high % 1):
            raise ValueError(f"int: [{low:g}, {high:g}]: give whole numbers")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value of a range of numbers."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def grid(self) -> Sequence[Value] | None:
        """All values, where there are finitely many; a range is not written out."""
        if self.form == "choice":
            return self.values
        if self.form == "int":
            low, high = self.ends
            return range(int(low), int(high) + 1)
        return None

    @property
    def size(self) -> int | None:
        """How many values there are, where they are finitely many."""
        if self.form == "int":
            low, high = self.ends
            return int(high) - int(low) + 1
        return len(self.values) if self.form == "choice" else None

    def holds(self, value: Value) -> bool:
        """Whether a value lies in the range."""
        if self.form == "choice":
            return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values)
        if isinstance(value, bool | str):
            return False
        low, high = self.ends
        return low <= value <= high and (self.form != "int" or value % 1 == 0)

    def samples(self) -> tuple[Value, ...]:
        """Values whose validity stands for that of all: the ends of a range, every choice."""
        return self.values if self.form == "choice" else self.ends


Space: TypeAlias = dict[str, Range]


class TaskSearch(Model):
    """What is searched differently for one task.

    Attributes:
        space: Ranges that replace or join those of the whole search; null takes one out.
        num_samples: Trials of this task.
    """

    space: dict[str, Range | None] = Field(default_factory=dict)
    num_samples: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None


class Search(Model):
    """A hyperparameter search: every intermediate and target of the study on its own, on its dev score.

    Attributes:
        space: Range by name of a hyperparameter.
        tasks: What is searched differently for single tasks.
        metric: What is maximised on dev; default each task's main score.
        num_samples: Trials for each task; with `sampler: grid` at most as many as there are combinations.
        sampler: Optuna's tree-structured Parzen estimator, random values, or every combination.
        multivariate: Whether TPE models the hyperparameters together.
        seed: Seed of the sampler.
        schedule: `asha` stops single trials inside one task; `full` trains all to the end.
        budget_hours: Device hours after which no new trial starts.
        joint: Search each target's hyperparameters together with the choice of its intermediate.
    """

    space: Annotated[Space, Field(min_length=1)]
    tasks: dict[str, TaskSearch] = Field(default_factory=dict)
    metric: str | None = None
    num_samples: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = 20
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    multivariate: bool = True
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    schedule: Schedule = "full"
    budget_hours: Annotated[float, Field(gt=0)] | None = None
    joint: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.schedule != "full" and not isinstance(self.schedule, Asha):
            name = self.schedule.name
            raise ValueError(f"schedule: {name} compares arms over seeds; a search takes full or asha")
        for place, space in self._spaces():
            for name, one in space.items():
                _check_name(f"{place}.{name}", name)
                if one is None:
                    continue
                for value in one.samples():
                    _check_value(f"{place}.{name}", name, value)
                if self.sampler == "grid" and one.size is None:
                    raise ValueError(f"{place}.{name}: sampler grid needs choice or int, not {one.form}")
        self._check_grid("space", self.space)
        for name in self.tasks:
            self._check_grid(f"tasks.{name}.space", self.space_of(name))
            if not self.space_of(name):
                raise ValueError(f"tasks.{name}.space: nothing is left to search")
        return self

    def _check_grid(self, place: str, space: Space) -> None:
        sizes = [one.size or 1 for one in space.values()]
        if self.sampler == "grid" and math.prod(sizes) > MOST_COMBINATIONS:
            number = cut(f"{math.prod(sizes):,}", 40)
            raise ValueError(
                f"{place}: sampler grid has {number} combinations, of at most {MOST_COMBINATIONS:,}; give fewer values "
                "with choice, or take sampler tpe or random"
            )

    def _spaces(self) -> list[tuple[str, dict[str, Range | None]]]:
        """Every block of ranges, with its place."""
        return [("space", {**self.space}), *((f"tasks.{name}.space", one.space) for name, one in self.tasks.items())]

    def space_of(self, task: str) -> Space:
        """The ranges of one task."""
        own = self.tasks[task].space if task in self.tasks else {}
        merged: dict[str, Range | None] = {**self.space, **own}
        return {name: one for name, one in merged.items() if one is not None}

    def samples_of(self, task: str) -> int:
        """Trials of one task: what is asked for, at most as many as there are combinations."""
        own = self.tasks[task].num_samples if task in self.tasks else None
        asked = own or self.num_samples
        sizes = [one.size for one in self.space_of(task).values()]
        return asked if None in sizes else min(asked, math.prod(size for size in sizes if size is not None))


def _check_name(place: str, name: str) -> None:
    if name in RETIRED:
        raise ValueError(f"{place}: {name!r} is not a name here: use {RETIRED[name]}")
    if name not in Overrides.model_fields:
        raise ValueError(f"{place}: no such hyperparameter; {did_you_mean(name, Overrides.model_fields)}")


def _check_value(place: str, name: str, value: Value) -> None:
    """Whether a hyperparameter can take a value, by the rules of the hyperparameters themselves."""
    try:
        TypeAdapter(Overrides).validate_python({name: value})
    except ValidationError as error:
        raise ValueError(f"{place}: {value!r}: {error.errors()[0]['msg']}") from None
