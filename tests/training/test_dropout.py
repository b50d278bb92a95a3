from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel, BertConfig

from raystilts.training.fast_cpu import Dropout, drop_quickly, dropout

from .encoders import IDS, MASK, SIZES

MANY = 1_000_000


def drawn(p: float, seed: int = 0, size: int = MANY) -> Tensor:
    torch.manual_seed(seed)
    return dropout(torch.ones(size), p)


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_numbers_are_dropped_with_the_probability(p: float) -> None:
    """Within 5 standard deviations, each of the four places that share 64 bits too."""
    found = drawn(p)
    for part in (found, *(found[i::4] for i in range(4))):
        bound = 5 * (p * (1 - p) / len(part)) ** 0.5 + 2**-17
        assert abs(float((part == 0).float().mean()) - p) < bound
    zero, kept = sorted(set(found.tolist()))
    assert zero == 0
    assert kept == pytest.approx(1 / (1 - p), rel=2e-4)


def test_what_is_kept_makes_up_for_what_is_dropped() -> None:
    """Exactly: 6,554 of 65,536 values are dropped."""
    assert float(drawn(0.1).max()) == pytest.approx(65536 / (65536 - 6554), rel=1e-7)


def test_a_number_does_not_tell_of_its_neighbours() -> None:
    dropped = (drawn(0.1) == 0).double()
    for lag in (1, 2, 3, 4, 5, 8, 16):
        pair = torch.stack([dropped[:-lag], dropped[lag:]])
        assert abs(float(pair.corrcoef()[0, 1])) < 5 / MANY**0.5


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1001])
def test_the_seed_says_what_is_dropped(size: int) -> None:
    assert torch.equal(drawn(0.5, 1, size), drawn(0.5, 1, size))
    if size > 1000:
        assert not torch.equal(drawn(0.5, 1, size), drawn(0.5, 2, size))
    torch.manual_seed(1)
    first, second = dropout(torch.ones(1001), 0.5), dropout(torch.ones(1001), 0.5)
    assert not torch.equal(first, second), "the next mask is another one"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gradients_are_dropped_where_numbers_are(dtype: torch.dtype) -> None:
    inputs = torch.randn(5, 7, 3, dtype=dtype).transpose(0, 1).requires_grad_()
    out = dropout(inputs, 0.5)
    assert out.dtype is dtype
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, (out != 0).to(dtype) * 2)
    assert torch.equal(out, inputs * inputs.grad)


def test_all_nothing_and_while_it_does_not_train() -> None:
    inputs = torch.randn(100)
    assert dropout(inputs, 0.0) is inputs
    assert torch.equal(dropout(inputs, 1.0), torch.zeros(100))
    assert Dropout(0.5).eval()(inputs) is inputs


def test_another_device_draws_as_it_does() -> None:
    assert dropout(torch.empty(3, 4, device="meta"), 0.1).is_meta


class OwnDropout(nn.Dropout):
    """What some architectures have."""


def test_a_model_gets_it_in_the_place_of_the_plain_one() -> None:
    model = AutoModel.from_config(BertConfig(**SIZES, hidden_dropout_prob=0.3)).train()
    model.pooler.add_module("own", OwnDropout(0.2))
    before = copy.deepcopy(model)
    drop_quickly(model)
    for (name, old), (_, new) in zip(before.named_modules(), model.named_modules(), strict=True):
        if isinstance(old, nn.Dropout):
            assert type(new) is (Dropout if type(old) is nn.Dropout else OwnDropout), name
            assert isinstance(new, nn.Dropout)
            assert (new.p, new.training) == (old.p, True)
    assert sum(isinstance(part, Dropout) for part in model.modules()) == 7
    assert model.state_dict().keys() == before.state_dict().keys()
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    torch.manual_seed(0)
    dropped = model(**inputs).last_hidden_state
    assert not torch.equal(dropped, model(**inputs).last_hidden_state)
    assert torch.equal(model.eval()(**inputs).last_hidden_state, before.eval()(**inputs).last_hidden_state)
