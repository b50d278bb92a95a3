"""What a checkpoint's config.json says of its architecture, and what a study can ask of it; read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raystilts.errors import UserError, shown

if TYPE_CHECKING:
    from raystilts.study.schema import Study

Family = Literal["encoder", "decoder", "encoder-decoder"]

#: Model types whose tokens see only what stands before them. A type that is missing here a
#: rehearsal finds (`raystilts.training.rehearsal`).
_DECODERS = frozenset({
    "llama", "mistral", "mixtral", "ministral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2",
    "gemma3", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "gpt_bigcode", "gptj", "phi", "phi3", "olmo", "olmo2",
    "olmo3", "bloom", "opt", "xglm", "falcon", "mpt", "smollm3", "granite", "cohere", "cohere2", "stablelm",
    "starcoder2", "apertus", "exaone4", "helium", "nemotron", "glm", "glm4", "openai-gpt", "codegen", "biogpt",
    "ctrl", "modernbert-decoder",
})  # fmt: skip
#: Names of the number of layers, of the encoder where there are two halves.
_LAYERS = ("num_hidden_layers", "n_layers", "encoder_layers", "num_layers", "n_layer")
#: Other numbers of every architecture that names them.
_SIZES = ("hidden_size", "vocab_size", "num_attention_heads", "intermediate_size", "max_position_embeddings")
#: Model types whose heads share the hidden size evenly; others name the size of a head.
_SPLIT_EVENLY = frozenset({"bert", "roberta", "xlm-roberta", "electra", "camembert", "xlm-roberta-xl"})


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture as its configuration describes it.

    Attributes:
        model_type: transformers' name of it.
        family: An encoder-decoder gives its encoder half.
        layers: Number of layers, of the encoder half where there are two; None where no known field says so.
    """

    model_type: str
    family: Family
    layers: int | None


def read_architecture(config: Path) -> Architecture:
    """The architecture of a config.json.

    Raises:
        UserError: not a JSON object, or without `model_type`.
    """
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
            raise ValueError
        problem = _wrong_size(found)
        if problem is None:
            return architecture_of(found)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f"encoder.model_name_or_path: {config} is not the configuration of a model; fetch it again"
        ) from None
    raise UserError(f"encoder.model_name_or_path: {config}: {problem}; fetch it again")


def _wrong_size(config: Mapping[str, Any]) -> str | None:
    """What is wrong with the numbers of a configuration, without which no model can be made; None where nothing is."""
    for name in (*_LAYERS, *_SIZES):
        size = config.get(name)
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            return f"{name} is {shown(size)}, and must be a whole number from 1"
    padding, words = config.get("pad_token_id"), config.get("vocab_size")
    # -1 is how configurations once said that there is none.
    if padding is not None and (isinstance(padding, bool) or not isinstance(padding, int) or padding < -1):
        return f"pad_token_id is {shown(padding)}, and must be a whole number or null"
    if padding is not None and words is not None and padding >= words:
        return f"pad_token_id is {padding}, and must be below vocab_size, {words}"
    if config["model_type"] in _SPLIT_EVENLY and config.get("hidden_size") and config.get("num_attention_heads"):
        width, heads = config["hidden_size"], config["num_attention_heads"]
        if width % heads:
            return f"hidden_size is {width}, and must be a multiple of num_attention_heads, {heads}"
    return None


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """The architecture of a configuration as a mapping."""
    model_type = str(config["model_type"])
    family: Family = "encoder"
    if config.get("is_encoder_decoder") or model_type in ("t5", "mt5", "umt5", "longt5", "switch_transformers"):
        family = "encoder-decoder"
    elif (model_type in _DECODERS or config.get("is_decoder")) and not config.get("use_bidirectional_attention"):
        family = "decoder"
    layers = next((int(config[name]) for name in _LAYERS if config.get(name)), None)
    return Architecture(model_type, family, layers)


def check_architecture(study: Study, architecture: Architecture | None, retrieval: bool) -> None:
    """Refuses what a study asks of an architecture that it cannot do.

    Args:
        architecture: None where the encoder is not here yet.
        retrieval: Whether the study has a target that is scored on hidden states.

    Raises:
        UserError: naming the field of the study.
    """
    if architecture is None:
        return
    name, layers = architecture.model_type, architecture.layers
    layer = study.encoder.retrieval_layer
    if retrieval and layer is not None and layers is not None and not -layers - 1 <= layer <= layers:
        raise UserError(
            f"encoder.retrieval_layer: {layer}: the {name} has {layers} layers; give 0 (embeddings) to {layers}, or -1"
        )
    if architecture.family == "decoder" and study.encoder.pooling == "first":
        raise UserError(
            f"encoder.pooling: first: {name} is a decoder, whose first token sees no other; give last or mean"
        )
    if architecture.family == "decoder" and study.encoder.retrieval_pooling == "first":
        raise UserError(
            f"encoder.retrieval_pooling: first: {name} is a decoder, whose first token sees no other; give mean"
        )
    for index, arm in enumerate(study.intermediates):
        if arm.merge is not None and layers is not None and arm.merge.swapped_layers > layers:
            raise UserError(
                f"intermediates.{index}.merge: {arm.merge.swapped_layers} layers are swapped or averaged, and the "
                f"{name} has {layers}; give less to bottom, top or transition"
            )
        if arm.masked_lm is not None and architecture.family != "encoder":
            raise UserError(
                f"intermediates.{index}.masked_lm: {name} is no masked language model ({architecture.family}); "
                "leave masked_lm out, or take an encoder"
            )
