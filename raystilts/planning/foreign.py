"""Checkpoints from elsewhere: found, fingerprinted, and compared with the study's encoder before anything trains.

What is compared is what makes the encoder compute something else: the numbers and switches of the configuration, the
vocabulary, and what the tokenizer makes of a text. That all its tensors are there is seen when it is loaded.
"""

from __future__ import annotations

import json
import math
import re
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from raystilts.errors import UserError, first_line, shown
from raystilts.planning.encoders import EncoderInfo, describe_encoder, fetch_encoder
from raystilts.study.composed import Foreign
from raystilts.study.encoder import Encoder

#: Read to compare tokenizers: cases, accents, scripts, forms that NFKC and NFC change.
PROBE = "The Ärger of ÉCOLE №5, ﬁne İstanbul Ελλάς Москва नमस्ते العربية 日本語 한국어 ไทย  twice"
#: Fields of a configuration that change what an encoder computes from the same weights, or the weights' shapes.
_COMPARED = (
    "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
    "vocab_size", "type_vocab_size", "max_position_embeddings", "embedding_size", "head_dim", "pad_token_id",
    "d_model", "d_ff", "d_kv", "num_layers", "num_heads", "n_layers", "n_heads", "dim", "hidden_dim",
    "hidden_act", "hidden_activation", "activation", "activation_function", "feed_forward_proj",
    "layer_norm_eps", "norm_eps", "layer_norm_epsilon", "rms_norm_eps", "position_embedding_type",
    "relative_attention", "position_buckets", "max_relative_positions", "pos_att_type", "share_att_key",
    "relative_attention_num_buckets", "relative_attention_max_distance", "local_attention",
    "global_attn_every_n_layers", "rope_theta", "rope_scaling",
)  # fmt: skip


def describe_foreign(foreign: Foreign, encoder: Encoder, place: str) -> EncoderInfo:
    """Finds a checkpoint from elsewhere without loading it, and compares what is here with the study's encoder.

    Args:
        place: Of its arm in the study file.

    Raises:
        UserError: it is not there or no checkpoint of safetensors, or is of another architecture or tokenizer.
    """
    info = _placed(place, describe_encoder, _as_encoder(foreign, encoder))
    own = describe_encoder(encoder)
    if info.verified and own.verified:
        check_same(own, info, f"{place}.checkpoint")
    return info


def fetch_foreign(foreign: Foreign, encoder: Encoder, place: str) -> EncoderInfo:
    """Like `describe_foreign`, fetching a checkpoint on the hub first.

    Raises:
        UserError: also where it is not on the hub, or the hub does not answer.
    """
    _placed(place, fetch_encoder, _as_encoder(foreign, encoder))
    return describe_foreign(foreign, encoder, place)


def local_foreign(planned: EncoderInfo, foreign: Foreign, encoder: Encoder, place: str) -> EncoderInfo:
    """The planned checkpoint as it lies on this machine, fetched in the planned revision where it is not here.

    Args:
        planned: As `describe_foreign` found it on the driver's machine; its fingerprint is in the stage's key.

    Raises:
        UserError: it is neither here nor on the hub, or is another by now.
    """
    pinned = foreign.model_copy(update={"revision": planned.revision or foreign.revision})
    if not planned.verified:
        return fetch_foreign(pinned, encoder, place)
    info = _placed(place, fetch_encoder, _as_encoder(pinned, encoder))
    if info.fingerprint != planned.fingerprint:
        raise UserError(
            f"{place}.checkpoint: {info.location} on {socket.gethostname()} holds other weights or another tokenizer "
            f"than the run planned with (fingerprint {info.fingerprint[:8]}, not {planned.fingerprint[:8]}); give one "
            "folder that all nodes share, or an id on the hub with its revision, and run the study again"
        )
    return info


def _as_encoder(foreign: Foreign, encoder: Encoder) -> Encoder:
    """Read as the study's encoder is, but for where it lies."""
    return encoder.model_copy(update={"model_name_or_path": foreign.checkpoint, "revision": foreign.revision})


def _placed(place: str, find: Callable[[Encoder], EncoderInfo], encoder: Encoder) -> EncoderInfo:
    """What is said of an encoder's place in the study file is said of the checkpoint's."""
    try:
        return find(encoder)
    except UserError as error:
        text = re.sub(r": --set \S+$", "", str(error))  # sets the encoder's; no item of a list can be set so
        text = text.replace("encoder.model_name_or_path", f"{place}.checkpoint")
        raise UserError(text.replace("encoder.revision", f"{place}.revision")) from None


@cache
def check_same(own: EncoderInfo, foreign: EncoderInfo, place: str) -> None:
    """Compares a checkpoint that is here with the study's encoder, once: its fingerprint is of all that is compared.

    Raises:
        UserError: another architecture, vocabulary or tokenizer; names the field.
    """
    files = (Path(info.location) / "config.json" for info in (own, foreign))
    one, other = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    for field in _COMPARED:
        if not _alike(one.get(field), other.get(field)):
            raise UserError(
                f"{place}: {foreign.location} is of another architecture than the encoder, {own.location}: {field} is "
                f"{shown(other.get(field))}, not {shown(one.get(field))}; give a checkpoint that was trained from it"
            )
    difference = _tokenizer_difference(Path(own.location), Path(foreign.location), place)
    if difference is not None:
        raise UserError(
            f"{place}: {foreign.location} has another tokenizer than the encoder, {own.location}: {difference}; give a "
            "checkpoint that was trained with the encoder's own"
        )


def _alike(one: Any, other: Any) -> bool:
    """Whether two values of a configuration are the same; one that a file leaves out is its architecture's default."""
    if one is None or other is None:
        return True
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-6)
    return bool(one == other)


def _tokenizer_difference(own: Path, foreign: Path, place: str) -> str | None:
    """What tells two tokenizers apart, in words; None where nothing does."""
    files = [folder / "tokenizer.json" for folder in (own, foreign)]
    if all(file.is_file() for file in files) and files[0].read_bytes() == files[1].read_bytes():
        return None
    from transformers import AutoTokenizer

    try:
        one, other = (AutoTokenizer.from_pretrained(str(folder)) for folder in (own, foreign))
    except Exception as error:  # each tokenizer has mistakes of its own in what its files say
        raise UserError(f"{place}: {foreign}: its tokenizer does not load: {first_line(error, 120)}") from None
    words, others = one.get_vocab(), other.get_vocab()
    if words != others:
        word = min(word for word in {*words, *others} if words.get(word) != others.get(word))
        return f"{len(others):,} words, not {len(words):,}; {shown(word)} is one of those that differ"
    probes = [tokenizer(PROBE)["input_ids"] for tokenizer in (one, other)]
    return None if probes[0] == probes[1] else "the same text gets other ids"
