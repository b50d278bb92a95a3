"""The pretrained encoder and its tokenizer, loaded once a process and kept warm between stages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.encoders import EncoderInfo
from raystilts.tasks.encoding import Tokenizer
from raystilts.training.fast_ops import use_fast_dropout, use_sync_free_attention

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
    use_sync_free_attention(model)
    use_fast_dropout(model)
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return Pretrained(
        info, model, tokenizer, weights, _lm_head(info), model.config.num_hidden_layers, model.config.hidden_size
    )


def _lm_head(info: EncoderInfo) -> dict[str, Tensor]:
    """The masked-LM head among a checkpoint's tensors, under the names of `model.MaskedLMHead`."""
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
