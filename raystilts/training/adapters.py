"""Trainings that change a part of an encoder: LoRA, biases, upper layers; and what they leave.

While it trains, LoRA's additions are layers of peft within the encoder. Wherever it is read (an evaluation, a target
that starts from it, a kept model) they are merged into its weights, so that it is the plain encoder that transformers
knows, with all that makes it fast. A merge is done in float64 and never written over the pretrained weights: the same
additions give the same bits each time.

What a training has changed is kept alone, in peft's format where it is LoRA. A target that starts from an adapted
intermediate starts from the merged encoder; its checkpoint holds both changes in their order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.adapters import adapted_layers, parts_of, trained_parameters
from raystilts.planning.encoders import EncoderInfo
from raystilts.study.adapters import FULL, Tuning
from raystilts.training.fast_ops import use_fast_dropout

#: The folder of a checkpoint that holds changes, one folder each, and the file that names the encoder they are of.
FOLDER, ENCODER = "adapters", "encoder.json"
#: Names of peft's files, and of the file of weights that were trained themselves.
CONFIG, WEIGHTS, TRAINED = "adapter_config.json", "adapter_model.safetensors", "trained.safetensors"
#: What peft puts before the name of a layer.
_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class LowRank:
    """What LoRA adds to linear layers: alpha / r times B A.

    Attributes:
        layers: By name of the layer A [r, in] and B [out, r].
        transposed: Whether the layers keep their weights as [in, out], as GPT-2's do.
    """

    layers: dict[str, tuple[Tensor, Tensor]]
    r: int
    alpha: float
    dropout: float = 0.0
    transposed: bool = False

    def merged(self, name: str, weight: Tensor) -> Tensor:
        """A layer's weight with what is added to it, as a tensor of its own."""
        a, b = (one.detach().to(weight.device, torch.float64) for one in self.layers[name])
        added = (b @ a) * (self.alpha / self.r)
        return (weight.double() + (added.T if self.transposed else added)).to(weight.dtype).contiguous()


@dataclass(frozen=True, slots=True)
class Replaced:
    """Weights of the encoder that were trained themselves, by name."""

    tensors: dict[str, Tensor]


Change = LowRank | Replaced


@torch.no_grad()
def apply_change(encoder: nn.Module, change: Change) -> None:
    """Puts a change into an encoder; tensors that it shares with others stay as they are."""
    if isinstance(change, Replaced):
        named = dict(encoder.named_parameters())
        for name, tensor in change.tensors.items():
            named[name].data = tensor.to(named[name].device, copy=True)
        return
    for name in change.layers:
        weight = encoder.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        weight.data = change.merged(name, weight.data)


class Adapter:
    """Trains what a tuning says of an encoder within a `with` block; after it the encoder is plain, and changed.

    Args:
        seed: Of LoRA's A, which is drawn as peft draws it; B is zero.

    Attributes:
        change: What was trained, after the block; None where all of the encoder was.
    """

    def __init__(self, encoder: nn.Module, tuning: Tuning = FULL, seed: int = 0) -> None:
        self.tuning = tuning
        self.change: Change | None = None
        self._encoder, self._seed = encoder, seed
        self._layers: dict[str, Any] = {}
        self._own: dict[str, Tensor] = {}
        self._trained: list[str] = []
        self._transposed = False

    def __enter__(self) -> Self:
        if self.tuning.is_full:
            return self
        try:
            self._begin()
        except BaseException:  # memory, mostly: the encoder is kept warm for other stages, which may train all of it
            self._free()
            raise
        return self

    def _begin(self) -> None:
        parts = parts_of(self._encoder)
        self._encoder.requires_grad_(False)
        self._trained = trained_parameters(self.tuning, parts)
        named = dict(self._encoder.named_parameters())
        for name in self._trained:
            named[name].data = named[name].data.clone()
            named[name].requires_grad_(True)
        if self.tuning.method == "lora":
            self._add(adapted_layers(self.tuning, parts))

    def _free(self) -> None:
        """Leaves the encoder with plain layers, all of which can be trained."""
        self._layers, self._own = {}, {}
        for name, module in list(self._encoder.named_modules()):
            if hasattr(module, "base_layer"):
                self._encoder.set_submodule(name, module.base_layer)
        if hasattr(self._encoder, "peft_config"):
            del self._encoder.peft_config
        self._encoder.requires_grad_(True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.tuning.is_full:
            return
        try:
            self.change = self._changed()
        finally:
            self._free()

    def _changed(self) -> Change:
        """What was trained; it is part of the encoder's weights then."""
        if self.tuning.method != "lora":
            named = dict(self._encoder.named_parameters())
            return Replaced({name: named[name].detach() for name in self._trained})
        self.switch(True)
        change = self._low_rank({name: (_a(one).cpu(), _b(one).cpu()) for name, one in self._layers.items()})
        self.switch(False)
        return change

    def switch(self, training: bool) -> None:
        """To training, or to reading the plain encoder with what has been trained so far."""
        with torch.no_grad():
            for name, layer in self._layers.items():
                plain = layer.base_layer
                if training and name in self._own:
                    plain.weight.data = self._own.pop(name)
                    self._encoder.set_submodule(name, layer)
                elif not training and name not in self._own:
                    self._own[name] = plain.weight.data
                    plain.weight.data = self._low_rank({name: (_a(layer), _b(layer))}).merged(name, plain.weight.data)
                    self._encoder.set_submodule(name, plain)

    def _add(self, names: list[str]) -> None:
        """Puts peft's layers around linear ones."""
        from peft import inject_adapter_in_model

        self._transposed = any(type(self._encoder.get_submodule(name)).__name__ == "Conv1D" for name in names)
        nothing = (torch.empty(0), torch.empty(0))
        inject_adapter_in_model(lora_config(self._low_rank(dict.fromkeys(names, nothing))), self._encoder)
        generator = torch.Generator().manual_seed(self._seed)
        for name in names:
            layer: Any = self._encoder.get_submodule(name)
            drawn = torch.empty(_a(layer).shape)
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            with torch.no_grad():
                layer.lora_A["default"].weight.copy_(drawn)
            self._layers[name] = layer
        use_fast_dropout(self._encoder)

    def _low_rank(self, layers: dict[str, tuple[Tensor, Tensor]]) -> LowRank:
        own = self.tuning
        return LowRank(layers, own.r, own.alpha, own.dropout, self._transposed)


def _a(layer: Any) -> Tensor:
    found: Tensor = layer.lora_A["default"].weight.detach()
    return found


def _b(layer: Any) -> Tensor:
    found: Tensor = layer.lora_B["default"].weight.detach()
    return found


def lora_config(change: LowRank, **given: Any) -> Any:
    """peft's configuration of a change."""
    from peft import LoraConfig

    return LoraConfig(
        r=change.r,
        lora_alpha=change.alpha,  # type: ignore[arg-type]
        lora_dropout=change.dropout,
        target_modules=list(change.layers),
        fan_in_fan_out=change.transposed,
        **given,
    )


def save_changes(folder: Path, changes: Sequence[Change], info: EncoderInfo) -> None:
    """Writes changes of a pretrained encoder into a checkpoint."""
    from safetensors.torch import save_file

    for index, change in enumerate(changes):
        place = folder / FOLDER / str(index)
        place.mkdir(parents=True)
        if isinstance(change, Replaced):
            tensors = {name: tensor.cpu().contiguous() for name, tensor in change.tensors.items()}
            save_file(tensors, place / TRAINED, metadata={"format": "pt"})
            continue
        config = lora_config(change, base_model_name_or_path=info.location, revision=info.revision)
        config.inference_mode = True
        config.save_pretrained(place)
        save_file(peft_tensors(change), place / WEIGHTS, metadata={"format": "pt"})
    named = {"location": info.location, "revision": info.revision, "fingerprint": info.fingerprint}
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / ENCODER).write_text(json.dumps(named, indent=1), encoding="utf-8")


def peft_tensors(change: LowRank, prefix: str = "") -> dict[str, Tensor]:
    """LoRA's tensors by peft's names.

    Args:
        prefix: What stands before the encoder's own names in a model that holds it.
    """
    return {
        f"{_PREFIX}{prefix}{name}.lora_{part}.weight": tensor.contiguous()
        for name, pair in change.layers.items()
        for part, tensor in zip("AB", pair, strict=True)
    }


def load_changes(checkpoint: Path, info: EncoderInfo) -> tuple[Change, ...] | None:
    """What a checkpoint holds of changes, in their order; None where it holds a whole encoder.

    Raises:
        UserError: they are of another encoder.
    """
    file = checkpoint / FOLDER / ENCODER
    if not file.is_file():
        return None
    named = json.loads(file.read_text(encoding="utf-8"))
    if named["fingerprint"] != info.fingerprint:
        raise UserError(
            f"{checkpoint}: an adapter of {named['location']} (fingerprint {named['fingerprint']}), not of "
            f"{info.location}, whose fingerprint is {info.fingerprint}; take the encoder that it was trained on"
        )
    places = sorted((one for one in (checkpoint / FOLDER).iterdir() if one.is_dir()), key=lambda one: int(one.name))
    return tuple(_load_change(place) for place in places)


def with_changes(model: nn.Module, checkpoint: Path, count: int) -> nn.Module:
    """A pretrained encoder with the first so many changes of a checkpoint, put in by peft and transformers alone."""
    from safetensors.torch import load_file

    for index in range(count):
        place = checkpoint / FOLDER / str(index)
        if (place / CONFIG).is_file():
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(place)).merge_and_unload()
        else:
            model.load_state_dict(load_file(place / TRAINED), strict=False)
    return model


def _load_change(place: Path) -> Change:
    from safetensors.torch import load_file

    if not (place / CONFIG).is_file():
        return Replaced(load_file(place / TRAINED))
    config, tensors = json.loads((place / CONFIG).read_text(encoding="utf-8")), load_file(place / WEIGHTS)
    names = [name.removeprefix(_PREFIX).removesuffix(".lora_A.weight") for name in tensors if ".lora_A." in name]
    layers = {
        name: (tensors[f"{_PREFIX}{name}.lora_A.weight"], tensors[f"{_PREFIX}{name}.lora_B.weight"]) for name in names
    }
    return LowRank(
        layers, int(config["r"]), float(config["lora_alpha"]), float(config["lora_dropout"]), config["fan_in_fan_out"]
    )
