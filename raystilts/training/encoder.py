"""Attention that asks the device nothing, and draws its dropout quickly on a CPU.

The encoder and its tokenizer, loaded once a process and kept warm between stages.

An encoder in bfloat16 for the time of a pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo
from raystilts.tasks.encoding import Tokenizer
from raystilts.training.fast_cpu import drop_quickly, packed
from raystilts.training.fast_cpu import dropout as drop

#: The name that transformers knows it by.
NAME = "raystilts_sdpa"


def attend_without_asking(model: Any) -> None:
    """Lets a Hugging Face encoder make its masks without a look at them, if it has scaled-dot-product attention.

    transformers leaves the mask out where there is no padding, and in each forward pass asks the device whether there
    is any: a GPU then stands still until the next pass is launched. The host knows it anyway (`Batch.padded`). What is
    computed stays the same, but for dropout on a CPU.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, _attend)
        AttentionMaskInterface.register(NAME, _mask)
        model.set_attn_implementation(NAME)


def _mask(*, attention_mask: Tensor | None = None, allow_is_bidirectional_skip: bool = False, **given: Any) -> Any:
    """The mask as for "sdpa", but left out only where no padding was given."""
    from transformers.masking_utils import sdpa_mask

    skip = allow_is_bidirectional_skip and attention_mask is None
    return sdpa_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **given)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """What transformers does for "sdpa"; plain attention with dropout on a CPU draws that quickly.

    Relative positions (as in T5) are not plain: there torch draws its own.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if dropout == 0 or query.device.type != "cpu" or not _plain(module, query, key, attention_mask, given):
        states: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **given
        )
        return states
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # As torch computes it where there is dropout: in float32, also within autocast.
    with torch.autocast("cpu", enabled=False):
        scores = (query.float() * scale) @ key.float().transpose(-2, -1)
        if attention_mask is not None:
            # Finite: a row of padding may see nothing, and its softmax is to be a number, of which nothing is read.
            scores = scores.masked_fill(~attention_mask, torch.finfo(torch.float32).min)
        mixed = drop(scores.softmax(-1), dropout) @ value.float()
    return mixed.to(value.dtype).transpose(1, 2).contiguous(), None


def _plain(module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, given: dict[str, Any]) -> bool:
    """Whether this is attention with as many keys as queries and no more to it than a mask of what is seen."""
    causal = given.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    seen = not causal if mask is None else mask.dtype is torch.bool
    more = any(given.get(name) is not None for name in ("position_bias", "softcap", "cache"))
    return seen and not more and key.shape == query.shape


os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(slots=True)
class Pretrained:
    """A pretrained encoder, ready to be trained from again and again.

    Attributes:
        model: The Hugging Face model, on the CPU or wherever the last stage left it.
        weights: Its pretrained weights on the CPU, never changed.
        lm_head: The checkpoint's masked-LM head (`lm_head.*`), if it has one.
        layers: Number of layers.
        hidden: Size of a token state.
    """

    info: EncoderInfo
    model: nn.Module
    tokenizer: Tokenizer
    weights: dict[str, Tensor]
    lm_head: dict[str, Tensor]
    layers: int
    hidden: int

    @property
    def config(self) -> Any:
        """The Hugging Face configuration."""
        return self.model.config

    def restore(self, checkpoint: Path | None, device: torch.device) -> nn.Module:
        """The model with its pretrained weights, or those of a checkpoint folder, on a device.

        Raises:
            UserError: the checkpoint does not fit the encoder.
        """
        self.model.to(device)
        weights = self.weights if checkpoint is None else load_weights(checkpoint)
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        if missing or unexpected:
            raise UserError(
                f"{checkpoint}: not a checkpoint of {self.info.location} (missing {missing[:2]}, "
                f"unexpected {unexpected[:2]})"
            )
        return self.model


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the safetensors files in a folder."""
    from safetensors.torch import load_file

    return {name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()}


_WARM: dict[str, Pretrained] = {}


def pretrained(info: EncoderInfo) -> Pretrained:
    """The encoder of a study; a process holds one at a time.

    Raises:
        UserError: the checkpoint cannot be opened as an encoder.
    """
    if info.fingerprint not in _WARM:
        _WARM.clear()
        _WARM[info.fingerprint] = _load(info)
    return _WARM[info.fingerprint]


def _load(info: EncoderInfo) -> Pretrained:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(info.location, revision=info.revision)
        options = {"dtype": torch.float32, "use_safetensors": True}
        try:
            model = AutoModel.from_pretrained(info.location, revision=info.revision, add_pooling_layer=False, **options)
        except TypeError:  # architectures without a pooling layer do not know the word
            model = AutoModel.from_pretrained(info.location, revision=info.revision, **options)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(f"encoder.model_name_or_path: {info.location} does not load: {reason}") from error
    if not tokenizer.is_fast:
        raise UserError(f"encoder.model_name_or_path: {info.location} has no fast tokenizer (tokenizer.json)")
    attend_without_asking(model)
    drop_quickly(model)
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return Pretrained(
        info, model, tokenizer, weights, _lm_head(info), model.config.num_hidden_layers, model.config.hidden_size
    )


def _lm_head(info: EncoderInfo) -> dict[str, Tensor]:
    """The masked-LM head among a checkpoint's tensors, under the names of `heads.MaskedLMHead`."""
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    folder = Path(info.location)
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                if name.startswith("lm_head.") and "decoder" not in name:
                    found[name.removeprefix("lm_head.")] = file.get_tensor(name).float()
    return found


def word_embeddings(model: nn.Module) -> nn.Embedding:
    """The table of word embeddings of a Hugging Face model, or what stands in for it while it trains."""
    words: nn.Embedding = model.get_input_embeddings()  # type: ignore[operator]
    return words


def hidden_states(
    model: nn.Module, input_ids: Tensor, mask: Tensor | None, types: Tensor | None, layer: int | None
) -> Tensor:
    """Token states [features, length, hidden]: the last ones, or hidden state `layer` (0 = embeddings).

    Args:
        mask: 1 for tokens, [features, length]; None where all are.
    """
    inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": mask}
    if types is not None and getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = types
    if layer is None:
        states: Tensor = model(**inputs).last_hidden_state
        return states
    chosen: Tensor = model(**inputs, output_hidden_states=True).hidden_states[layer]
    return chosen


@contextmanager
def in_bfloat16(encoder: nn.Module) -> Iterator[None]:
    """Weights and activations of a Hugging Face encoder in bfloat16; its own weights are back afterwards.

    Autocast keeps the states between layers in float32 and so converts them several times a layer, which takes longer
    in a forward pass than what it saves in noise is worth. The table of word embeddings, most of the weights and read
    in a few rows, stays as it is; what it gives is converted. On a CPU linear layers are `packed`.
    """
    words = word_embeddings(encoder)
    of_words = set(words.parameters())
    converted = [p for p in encoder.parameters() if p not in of_words and p.is_floating_point()]
    own = [p.data for p in converted]
    hook = words.register_forward_hook(_to_bfloat16)
    try:
        for p in converted:
            p.data = p.data.to(torch.bfloat16)
        with packed(encoder):
            yield
    finally:
        hook.remove()
        for p, data in zip(converted, own, strict=True):
            p.data = data


def _to_bfloat16(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.to(torch.bfloat16)
