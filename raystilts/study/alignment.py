"""Arms that are drawn towards a target's domain while they train: what a study file may ask for, and their names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.registry import get_task

LOSSES = ("coral", "mmd", "adversarial")


class Alignment(BaseModel):
    """A loss beside an intermediate's own that makes the encoder's states of two domains alike.

    Each update sees as many training texts of another task, without their labels, as it has examples of its own; the
    states of both are averaged over their tokens and compared. The number of updates stays what it was. The weight
    rises from 0 by 2 / (1 + exp(-10 p)) - 1, p the share of the updates done (Ganin et al. 2016, section 5.2.2).

    Attributes:
        to: The task whose training texts are the other domain, as a rule a target of the study; its labels are not
            read.
        loss: `coral` compares covariances (Sun and Saenko 2016), `mmd` distributions by a Gaussian kernel of the
            median distance (Long et al. 2015), `adversarial` reverses the gradient of a classifier of the two domains
            (Ganin et al. 2016).
        weight: Of the loss at the end of the training. CORAL's loss is small by its definition (it is divided by
            4 d^2), so that it takes weights in the thousands.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: str
    loss: Literal["coral", "mmd", "adversarial"]
    weight: Annotated[float, Field(gt=0)] = 1.0

    @field_validator("loss", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value not in LOSSES:
            raise ValueError(f"no such loss: {value!r}; {did_you_mean(str(value), LOSSES)}")
        return value

    @property
    def word(self) -> str:
        """Its part of an arm's name."""
        return f"{self.loss}-{self.to}"

    def weight_at(self, progress: float) -> float:
        """The weight after a share of all updates."""
        return self.weight * (2 / (1 + math.exp(-10 * progress)) - 1)


def arm_name(tasks: Sequence[str], masked_lm: Any, align: Any) -> str:
    """What tables call an intermediate without a name of its own: its parts in the order in which they train.

    Args:
        masked_lm: A `MaskedLM`, or None; likewise `align`, an `Alignment`.
    """
    parts = list(tasks)
    if masked_lm is not None:
        word = f"mlm-{masked_lm.text_of}" if masked_lm.text_of else "mlm"
        parts = [word, *parts] if masked_lm.when == "before" else [*parts, word]
    if align is not None:
        parts.append(align.word)
    return "+".join(parts) or "none"


def domain_of(arm: Any) -> str | None:
    """The task whose training texts an `Intermediate` is drawn to; None for an ordinary one."""
    if arm.align is not None:
        return str(arm.align.to)
    return arm.masked_lm.text_of if arm.masked_lm is not None else None


def check_domain(name: str, tasks: Sequence[str], place: str) -> None:
    """Finds out whether a task's training texts can be another domain for an arm.

    Args:
        name: The task.
        tasks: The arm's own.
        place: Of the name in the study file.

    Raises:
        ValueError: It is unknown, has no training texts, or is what the arm trains on itself.
    """
    try:
        task = get_task(name)
    except UserError as error:
        raise ValueError(f"{place}: {error}") from None
    if task.train is None or task.type.head == "masked_lm":
        raise ValueError(f"{place}: {name!r} has no training texts of its own; name a task that is trained")
    if name in tasks:
        raise ValueError(f"{place}: {name!r} is what the arm trains on; name the task of another domain")
