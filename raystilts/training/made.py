"""Weights that a stage leaves without training any: a checkpoint from elsewhere, or a merge of other stages'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from raystilts.planning.foreign import local_foreign
from raystilts.planning.stage import Stage
from raystilts.study.schema import Study
from raystilts.training.encoder import Pretrained, foreign_weights, load_weights
from raystilts.training.merging import merge_weights
from raystilts.training.model import Head, masked_lm_head

#: Says in a checkpoint's metadata that its head is a masked-LM head that was taken in with it.
LM_HEAD = "lm_head"


def made_weights(
    stage: Stage, study: Study, loaded: Pretrained, held: Callable[[str, str], Path]
) -> tuple[dict[str, Tensor], list[Head]]:
    """The encoder's weights, and a masked-LM head where they come with one.

    Args:
        held: The folder of another stage's weights, by its key and train key.

    Raises:
        UserError: weights that are not there, or do not fit the encoder.
    """
    if stage.merged and stage.intermediate.merge is not None:
        kept = [loaded.weights if one is None else loaded.whole(held(*one)) for one in stage.merged]
        # A checkpoint holds tensors that have two names (T5's table of words) once.
        names = set(loaded.weights).intersection(*kept)
        base, *members = ({name: one[name] for name in one if name in names} for one in (loaded.weights, *kept))
        return merge_weights(stage.intermediate.merge, members, base), []
    assert stage.foreign is not None
    assert stage.intermediate.checkpoint is not None
    place = stage.intermediate.label if stage.arm is None else stage.arm.place
    # Another node has a cache of its own, and may have other files at the same place.
    weights, lm_head = foreign_weights(
        local_foreign(stage.foreign, stage.intermediate.checkpoint, study.encoder, place)
    )
    return weights, [masked_lm_head(loaded, lm_head)] if lm_head else []


def take_lm_head(parent: Path, metadata: Mapping[str, Any], head: Head) -> None:
    """Starts masked LM with the head of a checkpoint from elsewhere, where that came with one.

    Args:
        metadata: Of the parent's checkpoint.
    """
    if metadata.get(LM_HEAD):
        weights = load_weights(parent / "heads")
        head.load_state_dict({name.removeprefix("0."): tensor for name, tensor in weights.items()}, strict=False)
