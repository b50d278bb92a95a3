from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from raystilts.training.encoder import hidden_states, in_bfloat16
from raystilts.training.model import compact_rows

from .encoders import CONFIGS, IDS, MASK, encoder


@torch.no_grad()
def states(model: nn.Module) -> torch.Tensor:
    return hidden_states(model, IDS, MASK, None, None) * MASK.unsqueeze(-1)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
def test_an_encoder_computes_in_bfloat16_and_has_its_weights_again(config: Any) -> None:
    model = encoder(config)
    before, plain = {name: one.clone() for name, one in model.state_dict().items()}, states(model)
    with in_bfloat16(model):
        found = states(model)
    assert found.dtype is torch.bfloat16
    assert plain.dtype is torch.float32
    torch.testing.assert_close(found.float(), plain, atol=0.06, rtol=0.02)  # rounded at each of two layers
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(one, before[name]) and one.dtype is before[name].dtype for name, one in after.items())
    assert torch.equal(states(model), plain)


def test_weights_come_back_after_an_error_and_train_on() -> None:
    model = encoder(CONFIGS[0])
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    with pytest.raises(TimeoutError), in_bfloat16(model):
        raise TimeoutError
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    before = [one.detach().clone() for one in model.parameters()]
    torch.autograd.backward(hidden_states(model, IDS, MASK, None, None).square().sum())
    optimizer.step()
    assert any(not torch.equal(one, old) for one, old in zip(model.parameters(), before, strict=True))


def test_within_a_training_of_fewer_rows() -> None:
    """The stand-in for the table of word embeddings gives bfloat16 too."""
    model = encoder(CONFIGS[1])
    plain = states(model)
    with compact_rows(model, torch.arange(3, 12)):
        model.eval()
        with in_bfloat16(model):
            found = states(model)
    torch.testing.assert_close(found.float(), plain, atol=0.06, rtol=0.02)
