"""Dropout that is drawn quickly on a CPU.

torch draws 53 bits for each number that may be dropped, one after the other (with MKL on Intel's processors otherwise,
and quickly): a tenth to a sixth of a training there. Here 64 random bits decide over four numbers, and the masks are
the same on all processors: other ones than torch's, of the same distribution, and they follow `torch.manual_seed` as
its own do.

Linear layers in the order in which oneDNN reads their weights, for the time of a pass on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Values of the 16 bits that decide over one number.
_VALUES = 2**16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, drawn quickly."""

    def forward(self, input: Tensor) -> Tensor:
        """The input with some numbers zero, while it trains."""
        return dropout(input, self.p) if self.training else input


def dropout(inputs: Tensor, p: float) -> Tensor:
    """Each number is zero with probability `p`, to the nearest 1 / 65,536; the others grow, so that the mean stays.

    Not on a CPU: torch's own.
    """
    dropped = round(p * _VALUES)
    if inputs.device.type != "cpu" or dropped == _VALUES:
        return functional.dropout(inputs, p)
    return inputs if dropped == 0 else inputs * _noise(inputs, dropped)


def drop_quickly(model: nn.Module) -> None:
    """Puts `Dropout` in the place of each plain `nn.Dropout` of a model."""
    plain = [(name, part) for name, part in model.named_modules() if type(part) is nn.Dropout]
    for name, part in plain:
        model.set_submodule(name, Dropout(part.p).train(part.training))


def _noise(like: Tensor, dropped: int) -> Tensor:
    """What to multiply by: zero for so many of 65,536 values, and what keeps the mean for the others."""
    drawn = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    noise = torch.empty_like(like, requires_grad=False)
    torch.ge(drawn[: like.numel()].view(like.shape), dropped - _VALUES // 2, out=noise)
    return noise.mul_(_VALUES / (_VALUES - dropped))


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
    layers = [(name, layer) for name, layer in linear if _plain(layer)] if can_pack() else []
    try:
        for name, layer in layers:
            encoder.set_submodule(name, PackedLinear(layer))
        yield
    finally:
        for name, layer in layers:
            encoder.set_submodule(name, layer)


def _plain(layer: nn.Linear) -> bool:
    """Whether a layer computes in bfloat16 on a CPU, and nothing hangs on it that a product does not know."""
    hooked = layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer)
    weight = layer.weight
    return not hooked and weight.dtype is torch.bfloat16 and weight.device.type == "cpu" and weight.numel() > 0


def can_pack() -> bool:
    """Whether this torch and this processor have products in bfloat16 with packed weights."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
