"""Arms that are not one training from the pretrained encoder: weights from elsewhere, sequences, merges.

A study file writes them flat (`{checkpoint: ID, revision: ..., trained_on: [...]}`); here each kind has its own model.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from raystilts.study.base import LONGEST_NAME, Model

Members = tuple[Annotated[str, Field(min_length=1)], ...]
#: What a name of an arm is made of.
NAME = r"[\w.+@-]"


class Foreign(Model):
    """A checkpoint from elsewhere: an arm without a training of ours, the same for all seeds.

    Attributes:
        checkpoint: A folder that `from_pretrained` opens, or an id on the Hugging Face hub; of the architecture, the
            vocabulary and the tokenizer of the study's encoder.
        revision: Commit or tag on the hub.
        trained_on: Tasks that it has been trained on, as far as they are known here: its arm overlaps with the targets
            that train on the same data.
    """

    checkpoint: Annotated[str, Field(min_length=1)]
    revision: str | None = None
    trained_on: Members = ()

    @property
    def label(self) -> str:
        """The arm's name where the study gives none: the last part of the checkpoint's."""
        last = self.checkpoint.rstrip("/").rpartition("/")[2]
        return re.sub(rf"(?!{NAME}).", "-", last)[:LONGEST_NAME] or "checkpoint"


class Trainings(Model):
    """Trainings one after the other: what each leaves, the next starts from.

    Attributes:
        sequence: Tasks, or names of other arms of the study: the first may be any arm, those behind it are trained.
        fractions: Which members the study's intermediate fractions shrink: the `last`, or `all`.
    """

    sequence: Annotated[Members, Field(min_length=2)]
    fractions: Literal["last", "all"] = "last"

    @property
    def label(self) -> str:
        """The arm's name where the study gives none."""
        return "_then_".join(self.sequence)


Method = Literal["mean", "weighted", "task_arithmetic", "ties", "layer_swap"]
#: What methods of merging take beside their members.
_TAKES: dict[str, tuple[str, ...]] = {
    "mean": (),
    "weighted": ("weights",),
    "task_arithmetic": ("scale",),
    "ties": ("density", "scale"),
    "layer_swap": ("bottom", "top", "transition"),
}


class Merge(Model):
    """One encoder made of several that were trained from the same one, without a training.

    The formulas are in `raystilts.training.merging`.

    Attributes:
        merge: Names of other arms of the study; `none` is the pretrained encoder. Seed s merges their seeds s.
        method: How: the mean, a weighted mean, task vectors added, TIES, or layers swapped.
        weights: Of `weighted`, one a member; their sum is made 1.
        scale: Of the task vectors in `task_arithmetic` and `ties`.
        density: Of `ties`: the share of each task vector that is kept, its largest entries (0.2 in the paper).
        bottom: Of `layer_swap`: the lowest layers, which come from the second member.
        top: Likewise the highest ones.
        transition: Layers between those of both that are their mean, at either end.
    """

    merge: Annotated[Members, Field(min_length=1)]
    method: Method = "mean"
    weights: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] | None = None
    scale: Annotated[float, Field(gt=0, le=100)] = 1.0
    density: Annotated[float, Field(gt=0, le=1)] = 0.2
    bottom: Annotated[int, Field(ge=0)] = 0
    top: Annotated[int, Field(ge=0)] = 0
    transition: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        for name, field in type(self).model_fields.items():
            takers = [method for method, names in _TAKES.items() if name in names]
            if takers and self.method not in takers and getattr(self, name) != field.default:
                raise ValueError(f"{name} is of {' and '.join(takers)}, not of {self.method}; leave it out")
        if len(set(self.merge)) < len(self.merge):
            raise ValueError(f"a member stands twice in {list(self.merge)}; give it a weight: method: weighted")
        if self.method == "weighted":
            given = self.weights or ()
            if len(given) != len(self.merge) or not sum(given):
                raise ValueError(f"weighted needs weights, one for each of {list(self.merge)}, not all 0")
        if self.method == "layer_swap" and (len(self.merge) != 2 or not self.bottom + self.top):
            raise ValueError("layer_swap takes two members, and bottom or top: the layers that come from the second")
        return self

    @property
    def swapped_layers(self) -> int:
        """The layers that `layer_swap` takes from the second member, or averages."""
        return self.bottom + self.top + self.transition * ((self.bottom > 0) + (self.top > 0))

    @property
    def label(self) -> str:
        """The arm's name where the study gives none."""
        return f"{self.method}_of_{'_and_'.join(self.merge)}"


#: The kinds of composed arms: the field that tells one, and those that go with it in a study file.
FLAT: dict[str, tuple[str, ...]] = {
    "checkpoint": ("revision", "trained_on"),
    "sequence": ("fractions",),
    "merge": ("method", *dict.fromkeys(name for names in _TAKES.values() for name in names)),
}


def flattened(data: dict[str, Any]) -> dict[str, Any]:
    """An intermediate's fields as a study file writes them: the opposite of `gathered`."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        found |= value if name in FLAT and isinstance(value, dict) else {name: value}
    return found


def gathered(data: dict[str, Any]) -> dict[str, Any]:
    """An intermediate as a study file writes it, with the fields of a composed arm in one mapping.

    Raises:
        ValueError: a field that belongs to another kind of arm.
    """
    data = dict(data)
    for kind, fields in FLAT.items():
        own = {name: data.pop(name) for name in fields if name in data}
        if kind not in data or data[kind] is None:
            if own:
                raise ValueError(f"{next(iter(own))} belongs to an arm with {kind}; give {kind} too, or leave it out")
        elif not isinstance(data[kind], dict | Model):
            data[kind] = {kind: data[kind], **own}
        elif own:
            raise ValueError(f"{next(iter(own))} stands beside {kind} and not in it; give it once")
    return data
