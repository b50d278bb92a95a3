"""Dropout that is drawn quickly on a CPU.

torch draws 53 bits for each number that may be dropped, one after the other (with MKL on Intel's processors otherwise,
and quickly): a tenth to a sixth of a training there. Here 64 random bits decide over four numbers, and the masks are
the same on all processors: other ones than torch's, of the same distribution, and they follow `torch.manual_seed` as
its own do.
"""

from __future__ import annotations

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
