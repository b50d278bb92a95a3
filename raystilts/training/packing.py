"""Batches without padding: the tokens of all sequences one after the other, and attention within each sequence.

A padded batch takes an encoder through as many tokens as its longest sequence times its number of sequences. Packed,
all layers but attention see the tokens alone, and attention is told where each sequence ends. States are those of the
padded batch up to rounding; dropout draws other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.tasks.encoding import Longs


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the tokens of a padded batch [features, width] are.

    Attributes:
        places: Of each token in the flat batch, [tokens].
        positions: Of each token in its sequence, [tokens].
        offsets: Where each sequence begins among the tokens, and the last one ends, [features + 1].
        features: Sequences.
        width: Tokens of the longest sequence, padded.
    """

    places: Tensor
    positions: Tensor
    offsets: Tensor
    features: int
    width: int

    @classmethod
    def of(cls, lengths: Longs, width: int, device: torch.device) -> Packing:
        """Made on the host, so that a device is asked nothing."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        places = positions + np.repeat(np.arange(len(lengths)) * width, lengths)
        at, within, ends = (_on(torch.from_numpy(one), device) for one in (places, positions, offsets))
        return cls(at, within, ends, features=len(lengths), width=width)

    def pack(self, padded: Tensor) -> Tensor:
        """[features, width, ...] to [tokens, ...]."""
        return padded.flatten(0, 1).index_select(0, self.places)

    def unpack(self, tokens: Tensor) -> Tensor:
        """[tokens, ...] to [features, width, ...], zero where there is padding."""
        flat = tokens.new_zeros(self.features * self.width, *tokens.shape[1:])
        return flat.index_copy(0, self.places, tokens).view(self.features, self.width, *tokens.shape[1:])

    def seen(self, window: int | None) -> Tensor:
        """Which keys a query sees, [features, 1, 1 or width, width].

        Args:
            window: Tokens that are this far away, or further, are not seen; None for no limit.
        """
        at = torch.arange(self.width, device=self.offsets.device)
        tokens = at < self.offsets.diff()[:, None]
        keys = tokens[:, None, None, :]
        if window is None:
            return keys
        # Queries of padding see everything: a softmax over nothing is no number.
        return keys & ((at[:, None] - at).abs() < window) | ~tokens[:, None, :, None]


def _on(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def nested_attention(
    packing: Packing, query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None
) -> Tensor:
    """Attention within sequences by torch's nested tensors, which flash kernels on a GPU read as they are.

    Args:
        query: [1, heads, tokens, size], as are key and value.

    Returns:
        [1, tokens, heads, size].
    """
    q, k, v = (
        torch.nested.nested_tensor_from_jagged(
            one[0].transpose(0, 1).contiguous(), packing.offsets, min_seqlen=1, max_seqlen=packing.width
        ).transpose(1, 2)
        for one in (query, key, value)
    )
    states = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
    found: Tensor = states.transpose(1, 2).values()[None]
    return found


def packed_states(
    encoder: Any, ids: Tensor, types: Tensor | None, lengths: Longs, layer: int | None, first: int
) -> Tensor:
    """Token states [features, width, hidden] of a padded batch, computed without its padding and zero there.

    Args:
        encoder: One that can leave padding out (`fast_ops.can_leave_padding_out`).
        ids: [features, width].
        types: [features, width], or None.
        lengths: Tokens of each sequence, [features].
        layer: Hidden state to give (0 = embeddings); None for the last.
        first: The encoder's `first_position`.
    """
    packing = Packing.of(lengths, ids.shape[1], ids.device)
    windows = "sliding_attention" in (getattr(encoder.config, "layer_types", None) or ())
    given: dict[str, Any] = {
        "input_ids": packing.pack(ids)[None],
        "position_ids": (packing.positions + first)[None],
        # Without the names transformers makes a mask of all tokens with one another.
        "attention_mask": {"full_attention": None, "sliding_attention": None} if windows else None,
        "packing": packing,
    }
    if types is not None:
        given["token_type_ids"] = packing.pack(types)[None]
    if layer is None:
        return packing.unpack(encoder(**given).last_hidden_state[0])
    return packing.unpack(encoder(**given, output_hidden_states=True).hidden_states[layer][0])


def first_position(encoder: nn.Module) -> int:
    """The number of a sequence's first position: RoBERTa and its kin count from the padding id + 1."""
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith("position_embeddings"):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0
