"""Stages of composed arms: a checkpoint from elsewhere, a merge, and the parts of a training that leave weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from raystilts.errors import UserError
from raystilts.planning import keys
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.resolve import ResolvedArm
from raystilts.planning.stage import Stage
from raystilts.study.composed import Merge

#: What such a stage scores: nothing.
NOTHING = keys.digest([])


def foreign_stage(arm: ResolvedArm, foreign: EncoderInfo, base: str) -> Stage:
    """Takes a checkpoint from elsewhere in among the study's own; the same for all seeds and fractions.

    Args:
        base: Key of the study's encoder.
    """
    made = _made(arm, keys.foreign_key(base, foreign.fingerprint), foreign.fingerprint)
    return replace(made, foreign=foreign)


def merge_stage(
    arm: ResolvedArm, merge: Merge, members: Sequence[Stage | None], fraction: float | None, seed: int | None, base: str
) -> Stage:
    """Merges the weights of other stages.

    Args:
        members: Their stages, in the order of the merge; None for the pretrained encoder.
        base: Key of the study's encoder.
    """
    keys_of = [base if one is None else one.train_key for one in members]
    merged = tuple(None if one is None else (one.key, one.train_key) for one in members)
    data = keys.digest([None if one is None else one.data_hash for one in members])
    key = keys.merge_key(base, keys_of, merge)
    return replace(_made(arm, key, data), intermediate_fraction=fraction, seed=seed, merged=merged)


def stages_along(arm: ResolvedArm, whole: Stage) -> tuple[list[Stage], Stage]:
    """The stages on the way of a training, one for each arm along it, and the stage that does the rest.

    Each goes on from where the one before it stood, so that all of them together do the updates of one training.

    Args:
        arm: The arm of the whole training.
        whole: Its stage, as it is without arms along it.

    Raises:
        UserError: the training has too few updates for its steps to differ.
    """
    found: list[Stage] = []
    done, before = 0, None
    for one in arm.along:
        steps = round((one.step or 0.0) * whole.steps)
        if not done < steps < whole.steps:
            raise UserError(
                f"intermediate_steps: {one.label}: a training of {whole.steps} updates has no update of its own at "
                f"{one.step:g}; leave this step out, or train longer"
            )
        train_key = keys.step_key(whole.train_key, steps)
        stage = replace(
            _part(whole, done, steps),
            key=keys.stage_key(train_key, whole.eval_key),
            train_key=train_key,
            intermediate=one,
            arm=replace(arm, intermediate=one, along=()),
            follows=before,
        )
        found.append(stage)
        done, before = steps, stage.key
    return found, replace(_part(whole, done, whole.steps), follows=before) if found else whole


def _part(whole: Stage, begins: int, ends: int) -> Stage:
    """A training between two of its updates."""
    share = (ends - begins) / whole.steps
    return replace(
        whole,
        whole_key=whole.train_key,
        steps=ends,
        begins=begins,
        examples=round(whole.examples * share),
        tokens=round(whole.tokens * share),
        eval_tokens=round(whole.eval_tokens * share),
    )


def _made(arm: ResolvedArm, train_key: str, data_hash: str) -> Stage:
    """A stage without updates and without scores."""
    return Stage(
        key=keys.stage_key(train_key, NOTHING),
        train_key=train_key,
        eval_key=NOTHING,
        kind="intermediate",
        intermediate=arm.intermediate,
        data_hash=data_hash,
        arm=arm,
        hyperparameters=arm.hyperparameters,
    )
