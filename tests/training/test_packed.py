from __future__ import annotations

import pytest
import torch
from torch import nn

from raystilts.training.fast_cpu import PackedLinear, can_pack, packed

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch or processor has no packed products in bfloat16")


class Shared(nn.Module):
    """One layer used twice, and one that is not a plain linear layer."""

    def __init__(self) -> None:
        super().__init__()
        inner = nn.Sequential(nn.Linear(24, 24), nn.GELU())
        self.blocks = nn.ModuleList([inner, inner])
        self.out = nn.Linear(24, 5, bias=False)
        self.other = nn.Bilinear(5, 5, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        out: torch.Tensor = self.out(inputs)
        return out


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 33), (16, 64), (9, 113), (4000, 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(384, 384), (384, 1536), (1536, 384), (100, 37)])
def test_the_same_products(shape: tuple[int, int], inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs).bfloat16()
    given = torch.randn(*shape, inputs).bfloat16()
    # The same bits where this was written; another processor may add in another order.
    torch.testing.assert_close(PackedLinear(layer)(given), layer(given), rtol=2**-7, atol=2**-7)


@torch.no_grad()
def test_layers_are_back_also_after_an_error() -> None:
    torch.manual_seed(0)
    model = Shared().bfloat16()
    given = torch.randn(3, 4, 24).bfloat16()
    modules, weights, plain = list(model.modules()), model.state_dict(), model(given)
    with packed(model):
        assert sum(isinstance(one, PackedLinear) for one in model.modules()) == 2
        torch.testing.assert_close(model(given), plain, rtol=2**-6, atol=2**-6)
    assert [id(one) for one in model.modules()] == [id(one) for one in modules]
    with pytest.raises(TimeoutError), packed(model):
        raise TimeoutError
    assert [id(one) for one in model.modules()] == [id(one) for one in modules]
    assert model.state_dict().keys() == weights.keys()
    assert torch.equal(model(given), plain)


def test_what_is_not_in_bfloat16_is_left_alone() -> None:
    model = Shared()
    with packed(model):
        assert not any(isinstance(one, PackedLinear) for one in model.modules())


def test_a_layer_that_more_hangs_on_is_left_alone() -> None:
    """Old-style weight normalisation makes the weight in a hook before each product."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).bfloat16()
    model[0].register_forward_pre_hook(lambda module, inputs: None)
    with packed(model):
        assert [type(one) for one in model] == [nn.Linear, PackedLinear]
        assert [one.weight.shape for one in model] == [(8, 8), (8, 8)]
        assert len(list(model.parameters())) == 4
