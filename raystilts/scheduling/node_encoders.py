"""The encoders and checkpoints from elsewhere of a run as they lie on one of its nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.planning.foreign import local_foreign
from raystilts.planning.stages import Plan
from raystilts.study.composed import Foreign
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study


@dataclass(frozen=True, slots=True)
class PlannedCheckpoint:
    """A checkpoint from elsewhere that a run takes in.

    Attributes:
        place: Of its arm in the study file.
        info: As it was planned, on the driver's machine.
    """

    place: str
    checkpoint: Foreign
    encoder: Encoder
    info: EncoderInfo


def planned_checkpoints(planned: Plan) -> tuple[PlannedCheckpoint, ...]:
    """The checkpoints from elsewhere of a plan, each once."""
    found: dict[str, PlannedCheckpoint] = {}
    for part in planned.each():
        for key, stage in part.stages.items():
            if stage.foreign is not None and stage.arm is not None and stage.intermediate.checkpoint is not None:
                one = PlannedCheckpoint(
                    stage.arm.place, stage.intermediate.checkpoint, part.study.encoder, stage.foreign
                )
                found[key] = one
    return tuple(found.values())


def check_checkpoints_here(checkpoints: tuple[PlannedCheckpoint, ...]) -> None:
    """Fetches to this node what it lacks, and compares all with what was planned.

    Raises:
        UserError: one is not there, or another; names its place in the study file.
    """
    for one in checkpoints:
        local_foreign(one.info, one.checkpoint, one.encoder, one.place)


def locations(study: Study, encoders: Mapping[str, EncoderInfo]) -> dict[str, str]:
    """Where each of several encoders is on this node, by name.

    Args:
        encoders: As they were planned.

    Raises:
        UserError: one is not there, or another.
    """
    found = {}
    for name, planned in encoders.items():
        here = local_encoder(study.of_encoder(name).encoder, planned)
        if here.fingerprint != planned.fingerprint:
            raise UserError(f"{here.location} holds other weights or another tokenizer than {name}")
        found[name] = here.location
    return found


def local_encoder(encoder: Encoder, planned: EncoderInfo) -> EncoderInfo:
    """The planned encoder as it lies on this node, fetched in the planned revision.

    Raises:
        UserError: it is neither here nor on the hub.
    """
    pinned = encoder if planned.revision is None else encoder.model_copy(update={"revision": planned.revision})
    return fetch_encoder(pinned)
