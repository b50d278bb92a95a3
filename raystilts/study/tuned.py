"""Files of chosen hyperparameters: what a search found, for grids to name under `hyperparameters: {from: FILE}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from raystilts.errors import UserError
from raystilts.study.hyperparameters import Overrides
from raystilts.study.yaml_io import read_yaml


class Evidence(BaseModel):
    """What a choice rests on.

    Attributes:
        score: The best trial's score on dev, 0 to 1; the next best ones in `next_best`.
        trials: Trials that ended; of them `stopped` early and `failed`.
        converged: Whether the last third of the trials brought no more than dev sampling noise; None where too few.
        importance: Share of the differences in score that each hyperparameter accounts for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    score: float
    next_best: tuple[float, ...] = ()
    trials: int
    stopped: int = 0
    failed: int = 0
    converged: bool | None = None
    importance: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class TunedTask(BaseModel):
    """The values chosen for one task, or for an intermediate of several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Overrides
    intermediate: str | None = None
    evidence: Evidence


class Tuned(BaseModel):
    """A file of chosen values.

    Attributes:
        encoder: The encoder that they were found for.
        study: The study that found them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    study: str
    tasks: dict[str, TunedTask]


def read_tuned(path: str | Path) -> Tuned:
    """Reads a file of chosen values.

    Raises:
        UserError: it is not there, or not such a file.
    """
    file = Path(path).expanduser()
    shipped = Path(__file__).parents[1] / "search_spaces"
    shipped = shipped if shipped.is_dir() else Path(__file__).parents[2] / "search_spaces"
    found = file if file.exists() else shipped / file
    if not found.is_file():
        raise UserError(f"hyperparameters.from: {file}: no such file; a search writes <results>/hyperparameters.yaml")
    try:
        return Tuned.model_validate(read_yaml(found))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise UserError(f"hyperparameters.from: {found}: {place}: {problem['msg']}") from None


def with_tuned(data: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a study file, with those of the file named under `from` beneath them."""
    tuned = read_tuned(data["from"])
    chosen = {name: one.values.model_dump(exclude_unset=True) for name, one in tuned.tasks.items()}
    given = {name: _set(own) for name, own in (data.get("tasks") or {}).items()}
    tasks = {name: {**chosen.get(name, {}), **given.get(name, {})} for name in {**chosen, **given}}
    rest = {name: value for name, value in data.items() if name != "from"}
    return {**rest, "tasks": tasks, "tuned_for": tuned.encoder}


def _set(own: dict[str, Any] | None) -> dict[str, Any]:
    """What a study sets itself for a task: null means not set, as everywhere, and hides no chosen value."""
    return {name: value for name, value in (own or {}).items() if value is not None}
