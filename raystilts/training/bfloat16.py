"""An encoder in bfloat16 for the time of a pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from raystilts.training.encoder import word_embeddings
from raystilts.training.packed import packed


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
