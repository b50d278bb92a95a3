"""Attention that asks the device nothing, and draws its dropout quickly on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from raystilts.training.dropout import dropout as drop

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
