"""One distinct piece of training or evaluation, and what one training has in common over seeds and fractions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.resolve import ResolvedArm, ResolvedTask
from raystilts.study.adapters import FULL, Tuning
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate

Kind = Literal["intermediate", "target", "retrieval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One distinct piece of training or evaluation.

    Attributes:
        key: Names the stage: training and evaluation together.
        train_key: Names the weights that it leaves; those of the parent (or the encoder) where it trains nothing.
        eval_key: Names what is scored and how.
        parent: Key of the stage whose encoder this one starts from, None for the pretrained one.
        steps: Updates planned.
        examples: Training examples planned, repeats counted.
        tokens: Rough sub-words to train on, repeats counted.
        eval_tokens: Rough sub-words to evaluate, repeats counted.
        data_hash: Of the training data; of the scored data where nothing is trained.
        tasks: What it trains on and is scored on, resolved: the target, or the tasks of the intermediate.
        arm: The intermediate, resolved, where the stage trains it.
        hyperparameters: What it trains with.
        overlap: Whether the intermediate trains on the target's own training data.
        target_examples: The training examples of the target, where the study sets their number.
        encoder: The name of its encoder, where the study has several; else empty.
        tuning: What its training changes of the encoder.
        foreign: The checkpoint from elsewhere that it takes in, in place of a training.
        whole_key: Of a training, or a part of it, that is done in several stages: the train key of the whole, by which
            they hand each other the training in progress.
        follows: The stage that does the part of the training before this one's.
        begins: Updates that earlier stages of the same training do; `examples` and `tokens` are without them.
        merged: The stages whose weights it merges, in place of a training, with their train keys; None is the
            pretrained encoder.
    """

    key: str
    train_key: str
    eval_key: str
    kind: Kind
    intermediate: Intermediate
    data_hash: str
    intermediate_fraction: float | None = None
    target: str | None = None
    target_fraction: float | None = None
    seed: int | None = None
    parent: str | None = None
    parent_train_key: str | None = None
    steps: int = 0
    examples: int = 0
    tokens: int = 0
    eval_tokens: int = 0
    tasks: tuple[ResolvedTask, ...] = ()
    arm: ResolvedArm | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    overlap: bool = False
    target_examples: int | None = None
    encoder: str = ""
    tuning: Tuning = FULL
    foreign: EncoderInfo | None = None
    merged: tuple[tuple[str, str] | None, ...] = ()
    whole_key: str | None = None
    follows: str | None = None
    begins: int = 0

    @property
    def trains(self) -> bool:
        """Whether it trains weights, rather than score them or make them of others."""
        return self.kind != "retrieval" and self.foreign is None and not self.merged

    @property
    def sources(self) -> tuple[str, ...]:
        """The stages whose weights it is made of, or starts from, each once."""
        parent = () if self.parent is None else (self.parent,)
        return tuple(dict.fromkeys([*parent, *(one[0] for one in self.merged if one is not None)]))

    @property
    def after(self) -> tuple[str, ...]:
        """The stages that must have run before it: its sources, and the one that it follows."""
        return self.sources if self.follows is None else (*self.sources, self.follows)

    @property
    def ends_on_the_way(self) -> bool:
        """Whether it ends before the training does, at its `steps`."""
        return self.whole_key is not None and self.whole_key != self.train_key

    @property
    def trained(self) -> Intermediate | None:
        """How the training of an intermediate mixes tasks, masked LM and alignment; None of other stages."""
        return None if self.kind != "intermediate" or self.arm is None else self.arm.trained


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one training has in common over seeds and fractions.

    Attributes:
        train: Hash of all that changes the weights, but for fraction, seed and starting point.
        eval_key: Hash of what is scored and how.
        rows: Training examples of each part at fraction 1.
        tokens_per_example: Rough sub-words of a training example.
        picking_tokens: Rough sub-words of one evaluation during training.
        final_tokens: Rough sub-words scored at the end.
    """

    train: str
    eval_key: str
    rows: list[int]
    hyperparameters: Hyperparameters
    data_hash: str
    tokens_per_example: float
    picking_tokens: int
    final_tokens: int


def stage_kinds(stages: Iterable[Stage]) -> list[Stage]:
    """One stage of each kind."""
    found: dict[tuple[object, ...], Stage] = {}
    for stage in stages:
        if not stage.trains and stage.kind == "intermediate":
            continue  # nothing is computed that could differ
        found.setdefault(stage_kind(stage), stage)
    return list(found.values())


def stage_kind(stage: Stage) -> tuple[object, ...]:
    """What stages of one kind have in common: heads in order, masked LM and alignment or none, tuning, padding."""
    heads, arm = tuple(one.task.type.head for one in stage.tasks), stage.trained
    masked, aligned = (False, False) if arm is None else (arm.masked_lm is not None, arm.align is not None)
    return stage.encoder, stage.kind, heads, masked, aligned, stage.tuning, stage.hyperparameters.padding_free
