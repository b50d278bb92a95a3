"""Linear layers in the order in which oneDNN reads their weights, for the time of a pass on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

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
