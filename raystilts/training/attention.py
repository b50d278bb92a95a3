"""Attention that asks the device nothing."""

from __future__ import annotations

from typing import Any

from torch import Tensor

#: The name that transformers knows it by.
NAME = "raystilts_sdpa"


def attend_without_asking(model: Any) -> None:
    """Lets a Hugging Face encoder make its masks without a look at them, if it has scaled-dot-product attention.

    transformers leaves the mask out where there is no padding, and in each forward pass asks the device whether there
    is any: a GPU then stands still until the next pass is launched. The host knows it anyway (`Batch.padded`). What is
    computed stays the same.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, sdpa_attention_forward)
        AttentionMaskInterface.register(NAME, _mask)
        model.set_attn_implementation(NAME)


def _mask(*, attention_mask: Tensor | None = None, allow_is_bidirectional_skip: bool = False, **given: Any) -> Any:
    """The mask as for "sdpa", but left out only where no padding was given."""
    from transformers.masking_utils import sdpa_mask

    skip = allow_is_bidirectional_skip and attention_mask is None
    return sdpa_mask(attention_mask=attention_mask, allow_is_bidirectional_skip=skip, **given)
