"""Faster passes through an encoder: what is computed stays the same, up to which numbers dropout drops.

Dropout. On a CPU torch draws 53 bits for each number that may be dropped, one after the other (with MKL on Intel's
processors otherwise, and quickly): a tenth to a sixth of a training there. Here 64 random bits decide over four
numbers, and the masks are the same on all processors: other ones than torch's, of the same distribution, and they
follow `torch.manual_seed` as its own do.

Attention. No question to the device about padding, on a CPU the dropout above, and packed batches (`packing.py`).

bfloat16. An encoder in bfloat16 for the time of a forward pass; on a CPU its linear layers are in the order in which
oneDNN reads their weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.training.packing import Packing, nested_attention

#: Values of the 16 bits that decide over one number.
_VALUES = 2**16


class FastDropout(nn.Dropout):
    """`torch.nn.Dropout` with `fast_dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """The input with some numbers zero, while it trains."""
        return fast_dropout(input, self.p) if self.training else input


def fast_dropout(inputs: Tensor, p: float) -> Tensor:
    """Each number is zero with probability `p`, to the nearest 1 / 65,536; the others grow, so that the mean stays.

    Not on a CPU: torch's own.
    """
    dropped = round(p * _VALUES)
    if inputs.device.type != "cpu" or dropped == _VALUES:
        return functional.dropout(inputs, p)
    return inputs if dropped == 0 else inputs * _noise(inputs, dropped)


def use_fast_dropout(model: nn.Module) -> None:
    """Puts `FastDropout` in the place of each plain `nn.Dropout` of a model."""
    plain = [(name, part) for name, part in model.named_modules() if type(part) is nn.Dropout]
    for name, part in plain:
        model.set_submodule(name, FastDropout(part.p).train(part.training))


def _noise(like: Tensor, dropped: int) -> Tensor:
    """What to multiply by: zero for so many of 65,536 values, and what keeps the mean for the others."""
    drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    noise = torch.empty_like(like, requires_grad=False)
    torch.ge(drawn[: like.numel()].view(like.shape), dropped - _VALUES // 2, out=noise)
    return noise.mul_(_VALUES / (_VALUES - dropped))


#: The name of this attention in transformers' registry.
ATTENTION = "raystilts_sdpa"


def use_sync_free_attention(model: Any) -> None:
    """Lets a Hugging Face encoder with scaled-dot-product attention build its masks without synchronising the device.

    transformers leaves the mask out where there is no padding, and in each forward pass asks the device whether there
    is any: a GPU then stands still until the next pass is launched. The host knows it anyway (`Batch.padded`). What is
    computed stays the same, but for dropout on a CPU.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, _mask)
        model.set_attn_implementation(ATTENTION)


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
    packing: Packing | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """What transformers does for "sdpa"; plain attention with dropout on a CPU draws that quickly.

    Relative positions (as in T5) are not plain: there torch draws its own.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if packing is not None:
        return _attend_packed(packing, module, query, key, value, dropout, scaling, given)
    if dropout == 0 or query.device.type != "cpu" or not _is_plain_attention(module, query, key, attention_mask, given):
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
        mixed = _mixed(scores.softmax(-1), value.float(), round(dropout * _VALUES))
    return mixed.to(value.dtype).transpose(1, 2).contiguous(), None


def _reads_nested(query: Tensor) -> bool:
    """Whether the device has kernels that read nested tensors as they are."""
    return query.is_cuda


def _attend_packed(
    packing: Packing,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout: float,
    scaling: float | None,
    given: dict[str, Any],
) -> tuple[Tensor, None]:
    """Attention within the sequences of a packed batch: on a GPU by flash kernels, else padded for attention alone."""
    window = given.get("sliding_window")
    if _reads_nested(query) and window is None and query.shape == key.shape:
        return nested_attention(packing, query, key, value, dropout, scaling), None
    q, k, v = (packing.unpack(one[0].transpose(0, 1)).transpose(1, 2) for one in (query, key, value))
    seen, given = packing.seen(window), given | {"is_causal": False}
    states, _ = _attend(module, q, k, v, seen, dropout=dropout, scaling=scaling, **given)
    return packing.pack(states)[None], None


def _mixed(weights: Tensor, values: Tensor, dropped: int) -> Tensor:
    """Values [batch, heads, keys, size] mixed by weights [batch, heads, queries, keys], of which some are dropped."""
    if dropped in (0, _VALUES):
        return fast_dropout(weights, dropped / _VALUES) @ values
    batch, heads, queries, keys = weights.shape
    flat = weights.reshape(-1, queries, keys)
    mixed: Tensor = _DropAndMix.apply(flat, values.reshape(-1, keys, values.shape[-1]), dropped)  # type: ignore[no-untyped-call]
    return mixed.view(batch, heads, queries, -1)


class _DropAndMix(torch.autograd.Function):
    """Dropout of attention weights and their product with values; keeps a byte a weight for the way back.

    What torch's own operations keep, the mask and the weights under it as float32, is eight times that: with long
    sequences most of the memory of a training. The numbers are the same.
    """

    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, dropped: int) -> Tensor:
        noise = _noise(weights, dropped)
        ctx.dropped = dropped
        ctx.save_for_backward(weights, values, noise > 0)
        return torch.bmm(weights * noise, values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, values, kept = ctx.saved_tensors
        noise = kept.to(weights.dtype).mul_(_VALUES / (_VALUES - ctx.dropped))
        of_values = torch.bmm((weights * noise).transpose(1, 2), grads[0])
        return torch.bmm(grads[0], values.transpose(1, 2)).mul_(noise), of_values, None


#: The name of attention without a direction in transformers' registry.
BIDIRECTIONAL = "raystilts_bidirectional"


def use_bidirectional_attention(model: Any) -> bool:
    """Lets the tokens of a decoder see what follows them; False where its architecture does not allow it.

    Architectures whose layers see a window only are left out: their masks cannot be told apart from the direction.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    windows = "sliding_attention" in (getattr(model.config, "layer_types", None) or ())
    if windows or model.config._attn_implementation not in ("sdpa", ATTENTION):
        return False
    AttentionInterface.register(BIDIRECTIONAL, _attend_both_ways)
    AttentionMaskInterface.register(BIDIRECTIONAL, _mask_both_ways)
    model.set_attn_implementation(BIDIRECTIONAL)
    return True


def can_leave_padding_out(model: Any) -> bool:
    """Whether an encoder takes packed batches: positions, and where sequences end, which it hands on to its attention.

    A decoder's direction is not theirs, nor what ESM counts a sequence. Whether states are the same a rehearsal sees.
    """
    one_way = any(getattr(part, "is_causal", False) for part in model.modules())
    if getattr(model.config, "token_dropout", False):  # scales by the share of masked tokens in the sequence
        return False
    told = (BIDIRECTIONAL,) if one_way else (ATTENTION, BIDIRECTIONAL)
    taken = inspect.signature(model.forward).parameters.values()
    hands_on = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken)
    takes_positions = any(one.name == "position_ids" for one in taken)
    return hands_on and takes_positions and model.config._attn_implementation in told


def _mask_both_ways(*, attention_mask: Tensor | None = None, **given: Any) -> Any:
    """Padding is not seen; everything else is."""
    from transformers.masking_utils import bidirectional_mask_function, sdpa_mask

    if attention_mask is None:
        return None
    given |= {"mask_function": bidirectional_mask_function, "allow_is_causal_skip": False}
    return sdpa_mask(attention_mask=attention_mask, **given | {"allow_is_bidirectional_skip": False})


def _attend_both_ways(*inputs: Any, **given: Any) -> tuple[Tensor, None]:
    return _attend(*inputs, **given | {"is_causal": False})


def _is_plain_attention(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, given: dict[str, Any]
) -> bool:
    """Whether this is attention with as many keys as queries and no more to it than a mask of what is seen."""
    causal = given.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    seen = not causal if mask is None else mask.dtype is torch.bool
    more = any(given.get(name) is not None for name in ("position_bias", "softcap", "cache"))
    return seen and not more and key.shape == query.shape


@contextmanager
def in_bfloat16(encoder: nn.Module) -> Iterator[None]:
    """Weights and activations of a Hugging Face encoder in bfloat16; its own weights are back afterwards.

    Autocast keeps the states between layers in float32 and so converts them several times a layer, which takes longer
    in a forward pass than what it saves in noise is worth. The table of word embeddings, most of the weights and read
    in a few rows, stays as it is; what it gives is converted. On a CPU linear layers are `packed`.
    """
    words: nn.Module = encoder.get_input_embeddings()  # type: ignore[operator]
    of_words = set(words.parameters())
    converted = [p for p in encoder.parameters() if p not in of_words and p.is_floating_point()]
    own = [p.data for p in converted]
    hook = words.register_forward_hook(lambda module, inputs, output: output.to(torch.bfloat16))
    try:
        for p in converted:
            p.data = p.data.to(torch.bfloat16)
        with packed(encoder):
            yield
    finally:
        hook.remove()
        for p, data in zip(converted, own, strict=True):
            p.data = data


#: Rows of the inputs that the order is chosen for; it fits all others too.
_ROWS = 1024


class PackedLinear(nn.Module):
    """Computes what a linear layer in bfloat16 does, which puts its weights into that order in each product."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias  # which some encoders look at
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), _ROWS)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [..., out_features] from inputs [..., in_features]."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return result


@contextmanager
def packed(encoder: nn.Module) -> Iterator[None]:
    """Linear layers in bfloat16 on a CPU are packed where they can be; then they are back."""
    linear = [(name, layer) for name, layer in encoder.named_modules() if type(layer) is nn.Linear]
    layers = [(name, layer) for name, layer in linear if _can_be_packed(layer)] if has_bfloat16_products() else []
    try:
        for name, layer in layers:
            encoder.set_submodule(name, PackedLinear(layer))
        yield
    finally:
        for name, layer in layers:
            encoder.set_submodule(name, layer)


def _can_be_packed(layer: nn.Linear) -> bool:
    """Whether a layer computes in bfloat16 on a CPU, and nothing hangs on it that a product does not know."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer)
    weight = layer.weight
    return not hooked and weight.dtype is torch.bfloat16 and weight.device.type == "cpu" and weight.numel() > 0


def has_bfloat16_products() -> bool:
    """Whether torch and this processor have products in bfloat16 (x86: AVX-512, AMX); else they are emulated."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
