"""A target as a study file names it: its task, its languages, and how many examples it trains on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from raystilts.errors import shown
from raystilts.study.adapters import Tuning
from raystilts.study.base import Language, Model

#: So many training examples of a target, or all that it has.
Examples = Annotated[int, Field(ge=1, le=10**9)] | Literal["all"]


def _each_once(given: tuple[Examples, ...]) -> tuple[Examples, ...]:
    if len(set(given)) < len(given):
        raise ValueError(f"a number of examples stands twice in {list(given)}")
    return given


#: Numbers of training examples, of which none stands twice.
Counts = Annotated[tuple[Examples, ...], Field(min_length=1), AfterValidator(_each_once)]


class Target(Model):
    """A task to be transferred to; `train: [en, sw]` beside it stands for `task: xnli@en+sw`, data in these languages.

    Attributes:
        task: Name of the task.
        languages: Languages to score; default all that the task has.
        metric: The score by which checkpoints are picked and arms compared; default the task's own.
        tuning: What its training changes of the encoder; default the study's.
        examples: Train on so many examples of it, a column of the matrix each, instead of `target_fractions`.
    """

    task: str
    languages: Annotated[tuple[Language, ...], Field(min_length=1)] | None = None
    # Left out where it is the task's own, so that older studies are what they were.
    metric: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    tuning: Annotated[Tuning | None, Field(exclude_if=lambda value: value is None)] = None
    examples: Annotated[Counts | None, Field(exclude_if=lambda value: value is None)] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"task": data} if isinstance(data, str) else _trained_in(data)


def _trained_in(data: Any) -> Any:
    """A target with `train`, its training languages, as the task of these languages."""
    if not isinstance(data, dict) or "train" not in data:
        return data
    codes = data["train"]
    codes = [codes] if isinstance(codes, str) else codes
    if not isinstance(codes, list | tuple) or not codes or not all(isinstance(code, str) for code in codes):
        raise ValueError(f'train: {shown(data["train"])}: expected languages of training data, such as ["en", "sw"]')
    if len(set(codes)) < len(codes):
        raise ValueError(f"train: a language is given twice in {list(codes)}")
    if "@" in str(data.get("task", "")):
        raise ValueError(f"train: {data['task']} names its training languages already; drop one of them")
    rest = {name: value for name, value in data.items() if name != "train"}
    return {**rest, "task": f"{data.get('task', '')}@{'+'.join(codes)}"}
