"""Which weights of an encoder a study's tuning trains, by their names; what cannot be is refused here."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from raystilts.errors import UserError, cut, did_you_mean
from raystilts.planning.encoders import EncoderInfo
from raystilts.study.adapters import ALL_LINEAR, Tuning

if TYPE_CHECKING:
    from torch import nn

    from raystilts.planning.resolve import ResolvedStudy

#: Classes of linear layers, by name; the weights of GPT-2's are the other way round.
LINEAR = ("Linear", "Conv1D")


@dataclass(frozen=True, slots=True)
class EncoderParts:
    """An encoder's weights and linear layers by name, in the order in which it holds them.

    Attributes:
        model_type: transformers' name of the architecture.
        parameters: Names, with the number of weights.
        tables: Names of the embeddings' weights.
        linear: Names of the linear layers, with inputs + outputs.
        layers: What the configuration says of their number.
    """

    model_type: str
    parameters: tuple[tuple[str, int], ...]
    tables: frozenset[str]
    linear: tuple[tuple[str, int], ...]
    layers: int

    def below(self, freeze: int | None) -> frozenset[str]:
        """Names of the embeddings and of the lowest so many layers; none where nothing is frozen."""
        if freeze is None:
            return frozenset()
        names = [name for name, _ in self.parameters]
        numbered = [i for i, name in enumerate(names) if layer_of(name) is not None]
        first = numbered[0] if numbered else len(names)
        found = set(names[:first]) | self.tables
        return frozenset(
            found | {name for name in names if (layer_of(name) or 0) < freeze and layer_of(name) is not None}
        )


def layer_of(name: str) -> int | None:
    """The number of the layer that a weight or a module belongs to; None for embeddings and what follows the layers."""
    found = re.search(r"(?:^|\.)(\d+)(?:\.|$)", name)
    return None if found is None else int(found.group(1))


def encoder_class(config: Any) -> Any:
    """transformers' class for the encoder of a configuration: of two halves, the encoder half where there is one."""
    from transformers import AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING

    half = bool(getattr(config, "is_encoder_decoder", False))
    return AutoModelForTextEncoding if half and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING else AutoModel


def parts_of(model: nn.Module) -> EncoderParts:
    """The parts of a Hugging Face encoder."""
    from torch import nn

    config: Any = model.config
    tables = {id(p) for one in model.modules() if isinstance(one, nn.Embedding) for p in one.parameters()}
    named = list(model.named_parameters())
    return EncoderParts(
        model_type=str(config.model_type),
        parameters=tuple((name, one.numel()) for name, one in named),
        tables=frozenset(name for name, one in named if id(one) in tables),
        linear=tuple(
            (name, sum(one.weight.shape)) for name, one in model.named_modules() if type(one).__name__ in LINEAR
        ),
        layers=int(config.num_hidden_layers),
    )


@cache
def _parts(location: str, revision: str | None, fingerprint: str) -> EncoderParts:
    """The parts of an encoder as its configuration describes them; no weights are read."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(location, revision=revision)
    with torch.device("meta"):
        kind = encoder_class(config)
        try:
            model = kind.from_config(config, add_pooling_layer=False)
        except TypeError:  # architectures without a pooling layer do not know the word
            model = kind.from_config(config)
    half = bool(getattr(config, "is_encoder_decoder", False)) and kind.__name__ == "AutoModel"
    return parts_of(model.get_encoder() if half else model)


def parts_of_encoder(info: EncoderInfo) -> EncoderParts | None:
    """The parts of a study's encoder; None where it is not here.

    Raises:
        UserError: its configuration describes no model.
    """
    if info.architecture is None:
        return None
    try:
        return _parts(info.location, info.revision, info.fingerprint)
    except Exception as error:  # each architecture has mistakes of its own in what its configuration says
        raise UserError(f"encoder.model_name_or_path: {info.location} does not load: {cut(str(error), 160)}") from error


def target_modules(tuning: Tuning, parts: EncoderParts | None) -> tuple[str, ...]:
    """Ends of names of the layers that LoRA adds to: as a study gives them, else as peft has them by default."""
    if tuning.method != "lora":
        return ()
    if tuning.target_modules is not None:
        return tuning.target_modules
    if parts is None:
        return ()
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as USUAL

    usual = USUAL.get(parts.model_type)
    known = isinstance(usual, list) and all(_matching(one, parts, None) for one in usual)
    return tuple(usual) if known and usual else (ALL_LINEAR,)


def adapted_layers(tuning: Tuning, parts: EncoderParts) -> list[str]:
    """Full names of the linear layers that LoRA adds to."""
    wanted = target_modules(tuning, parts)
    found = {name for one in wanted for name in _matching(one, parts, tuning.freeze)}
    return [name for name, _ in parts.linear if name in found]


def _matching(end: str, parts: EncoderParts, freeze: int | None) -> list[str]:
    frozen = parts.below(freeze)
    return [
        name
        for name, _ in parts.linear
        if (end == ALL_LINEAR or name == end or name.endswith(f".{end}")) and f"{name}.weight" not in frozen
    ]


def trained_parameters(tuning: Tuning, parts: EncoderParts) -> list[str]:
    """Names of the encoder's own weights that are trained, LoRA's additions apart."""
    if tuning.method in ("lora", "head_only"):
        return []
    frozen = parts.below(tuning.freeze)
    names = [name for name, _ in parts.parameters if name not in frozen]
    return [name for name in names if name.rpartition(".")[2] == "bias"] if tuning.method == "bitfit" else names


@cache
def trained_count(tuning: Tuning, parts: EncoderParts) -> int:
    """How many weights are trained, the head apart."""
    if tuning.method == "lora":
        sizes = dict(parts.linear)
        return sum(tuning.r * sizes[name] for name in adapted_layers(tuning, parts))
    sizes = dict(parts.parameters)
    return sum(sizes[name] for name in trained_parameters(tuning, parts))


def check_tunings(resolved: ResolvedStudy, info: EncoderInfo) -> None:
    """Refuses tunings that the encoder, or what is installed, does not allow.

    Raises:
        UserError: naming the place in the study file.
    """
    study = resolved.study
    # Single trainings first: a tuning that a sequence has of its last member is said of that.
    arms = sorted(resolved.all_arms, key=lambda arm: arm.intermediate.is_composed)
    given = [(arm.place, arm.tuning, arm.intermediate.tuning) for arm in arms]
    given += [(f"targets.{i}", one.tuning, study.targets[i].tuning) for i, one in enumerate(resolved.targets)]
    for place, tuning, own in given:
        if not tuning.is_full:
            check_tuning(tuning, f"{place}.tuning" if own is not None else "tuning", info)


def check_tuning(tuning: Tuning, place: str, info: EncoderInfo) -> None:
    """Refuses one tuning.

    Raises:
        UserError: peft is missing, or it would train nothing.
    """
    if tuning.method == "lora" and importlib.util.find_spec("peft") is None:
        raise UserError(f"{place}.method: lora needs peft; run: pip install 'raystilts[adapters]'")
    parts = parts_of_encoder(info)
    if parts is None:
        return
    _check_freeze(tuning, place, parts)
    for one in target_modules(tuning, parts):
        if not _matching(one, parts, tuning.freeze):
            known = sorted({name.rpartition(".")[2] for name in _matching(ALL_LINEAR, parts, tuning.freeze)})
            raise UserError(
                f"{place}.target_modules: {cut(one)} matches no linear layer of the {parts.model_type}; "
                f"{did_you_mean(one, [*known, ALL_LINEAR])}"
            )
    if tuning.method == "bitfit" and not trained_parameters(tuning, parts):
        raise UserError(f"{place}.method: bitfit: the layers of a {parts.model_type} have no biases; take lora")


def _check_freeze(tuning: Tuning, place: str, parts: EncoderParts) -> None:
    if not tuning.freeze:
        return
    numbered = {layer for name, _ in parts.parameters if (layer := layer_of(name)) is not None}
    if len(numbered) < parts.layers:
        raise UserError(
            f"{place}.freeze: {tuning.freeze}: the layers of a {parts.model_type} share their weights; leave it out"
        )
    if tuning.freeze >= parts.layers:
        raise UserError(
            f"{place}.freeze: {tuning.freeze}: the {parts.model_type} has {parts.layers} layers; give fewer, or "
            "method: head_only"
        )
