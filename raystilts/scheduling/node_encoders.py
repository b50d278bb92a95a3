"""The encoders of a run as they lie on one of its nodes."""

from __future__ import annotations

from collections.abc import Mapping

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.study.encoder import Encoder
from raystilts.study.schema import Study


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
