"""Dropout, attention, bfloat16 and packed layers compute what the plain ones do."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModel, BertConfig, DebertaV2Config, ModernBertConfig

from raystilts.planning.encoders import describe_encoder
from raystilts.study.encoder import Encoder
from raystilts.training.encoder import hidden_states, pretrained
from raystilts.training.fast_ops import (
    FastDropout,
    PackedLinear,
    _mixed,
    _noise,
    fast_dropout,
    has_bfloat16_products,
    in_bfloat16,
    packed,
    use_fast_dropout,
    use_sync_free_attention,
)
from raystilts.training.model import compact_rows

from .encoders import CONFIGS, IDS, MASK, SIZES, encoder

MANY = 1_000_000


def drawn(p: float, seed: int = 0, size: int = MANY) -> Tensor:
    torch.manual_seed(seed)
    return fast_dropout(torch.ones(size), p)


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
    first, second = fast_dropout(torch.ones(1001), 0.5), fast_dropout(torch.ones(1001), 0.5)
    assert not torch.equal(first, second), "the next mask is another one"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gradients_are_dropped_where_numbers_are(dtype: torch.dtype) -> None:
    inputs = torch.randn(5, 7, 3, dtype=dtype).transpose(0, 1).requires_grad_()
    out = fast_dropout(inputs, 0.5)
    assert out.dtype is dtype
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, (out != 0).to(dtype) * 2)
    assert torch.equal(out, inputs * inputs.grad)


def test_all_nothing_and_while_it_does_not_train() -> None:
    inputs = torch.randn(100)
    assert fast_dropout(inputs, 0.0) is inputs
    assert torch.equal(fast_dropout(inputs, 1.0), torch.zeros(100))
    assert FastDropout(0.5).eval()(inputs) is inputs


def test_another_device_draws_as_it_does() -> None:
    assert fast_dropout(torch.empty(3, 4, device="meta"), 0.1).is_meta


class OwnDropout(nn.Dropout):
    """What some architectures have."""


def test_a_model_gets_it_in_the_place_of_the_plain_one() -> None:
    model = AutoModel.from_config(BertConfig(**SIZES, hidden_dropout_prob=0.3)).train()
    model.pooler.add_module("own", OwnDropout(0.2))
    before = copy.deepcopy(model)
    use_fast_dropout(model)
    for (name, old), (_, new) in zip(before.named_modules(), model.named_modules(), strict=True):
        if isinstance(old, nn.Dropout):
            assert type(new) is (FastDropout if type(old) is nn.Dropout else OwnDropout), name
            assert isinstance(new, nn.Dropout)
            assert (new.p, new.training) == (old.p, True)
    assert sum(isinstance(part, FastDropout) for part in model.modules()) == 7
    assert model.state_dict().keys() == before.state_dict().keys()
    inputs = {"input_ids": IDS, "attention_mask": MASK}
    torch.manual_seed(0)
    dropped = model(**inputs).last_hidden_state
    assert not torch.equal(dropped, model(**inputs).last_hidden_state)
    assert torch.equal(model.eval()(**inputs).last_hidden_state, before.eval()(**inputs).last_hidden_state)


#: transformers computes attention in these by functions of which one can be chosen.
CHOOSING = [config for config in CONFIGS if config.model_type != "deberta-v2"]


def quiet(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    use_sync_free_attention(model)
    return model


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
@torch.no_grad()
def test_states_have_the_same_bits(config: Any) -> None:
    plain = encoder(copy.deepcopy(config))
    other = quiet(plain)
    assert torch.equal(hidden_states(other, IDS, MASK, None, None), hidden_states(plain, IDS, MASK, None, None))
    everything = torch.ones_like(MASK)
    assert torch.equal(hidden_states(other, IDS, None, None, None), hidden_states(plain, IDS, everything, None, None))


@pytest.mark.parametrize("config", CHOOSING, ids=lambda config: config.model_type)
def test_a_pass_asks_the_device_nothing(config: Any) -> None:
    """On a device without data, where any question fails."""
    with torch.device("meta"):
        plain = AutoModel.from_config(copy.deepcopy(config))
    ids, mask = IDS.to("meta"), MASK.to("meta")
    with pytest.raises(RuntimeError, match="meta"):
        hidden_states(plain, ids, mask, None, None)
    other = quiet(plain).train()
    for one in (mask, None):
        states = hidden_states(other, ids, one, None, None)
        assert states.shape == (*IDS.shape, 16)
        states.sum().backward()  # type: ignore[no-untyped-call]


#: A window so small that padding sees none but padding.
NARROW = ModernBertConfig(**SIZES, pad_token_id=0, eos_token_id=1, bos_token_id=2, cls_token_id=2, sep_token_id=1,
                          local_attention=2, global_attn_every_n_layers=2)  # fmt: skip


def training(config: Any, attention_dropout: float) -> nn.Module:
    """An encoder with dropout in its attention alone."""
    config = copy.deepcopy(config)
    config.initializer_range = 0.3  # so that attention tells tokens apart
    for name in vars(config):
        if "dropout" in name and not isinstance(getattr(config, name), bool):
            setattr(config, name, attention_dropout if name.startswith(("attention_", "attn_")) else 0.0)
    return encoder(config).train()


def fail(*given: Any, **named: Any) -> None:
    raise AssertionError("torch's own attention was used")


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("config", [*CHOOSING, NARROW], ids=lambda config: config.model_type)
@pytest.mark.parametrize("mask", [MASK, None], ids=["padded", "full"])
def test_attention_that_draws_its_dropout_is_attention(
    config: Any, mask: torch.Tensor | None, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout so seldom that nothing is dropped, beside torch's without dropout: states and gradients."""
    plain = training(config, 0.0)
    model = training(config, 1e-6)
    use_sync_free_attention(model)
    kept = torch.ones_like(IDS, dtype=torch.bool) if mask is None else mask.bool()
    found = []
    for one in (plain, model):
        if one is model:
            monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", fail)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            states = hidden_states(one, IDS, mask, None, None)[kept].float()
        (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()  # type: ignore[no-untyped-call]
        grads = {name: p.grad for name, p in one.named_parameters() if p.grad is not None}
        found.append((states.detach(), grads))
    tolerance = 2**-4 if bf16 else 1e-5
    torch.testing.assert_close(found[1][0], found[0][0], atol=tolerance, rtol=tolerance)
    assert found[0][1].keys() == found[1][1].keys()
    largest = max(float(gradient.abs().max()) for gradient in found[0][1].values())
    for name, gradient in found[0][1].items():
        assert torch.isfinite(found[1][1][name]).all()
        # That of the keys' biases is zero but for rounding.
        scale = max(largest / 100, float(gradient.abs().max()))
        torch.testing.assert_close(found[1][1][name], gradient, atol=2 * tolerance * scale, rtol=0)


@pytest.mark.parametrize("dropped", [0, 6554, 30_000])
def test_dropped_attention_keeps_less_and_computes_the_same(dropped: int) -> None:
    torch.manual_seed(0)
    given = [torch.randn(2, 3, 7, 7).softmax(-1), torch.randn(2, 7, 3, 5).transpose(1, 2)]
    grad = torch.randn(2, 3, 7, 5)
    found = []
    for own in (True, False):
        weights, values = (one.clone().requires_grad_() for one in given)
        torch.manual_seed(1)
        if own:
            mixed = _mixed(weights, values, dropped)
        else:
            mixed = (weights * _noise(weights, dropped) if dropped else weights) @ values
        mixed.backward(grad)  # type: ignore[no-untyped-call]
        assert weights.grad is not None
        assert values.grad is not None
        found.append((mixed.detach(), weights.grad, values.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@torch.no_grad()
def test_what_is_mixed_is_dropped_and_its_mean_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = training(CONFIGS[0], 0.3)
    use_sync_free_attention(model)
    asked: list[int] = []

    def noted(like: torch.Tensor, dropped: int) -> torch.Tensor:
        asked.append(dropped)
        return _noise(like, dropped)

    monkeypatch.setattr("raystilts.training.fast_ops._noise", noted)
    attention = model.encoder.layer[0].attention.self
    states = torch.randn(1, 6, 16).expand(4000, 6, 16)
    torch.manual_seed(0)
    drawn, _ = attention(states)
    torch.manual_seed(0)
    assert torch.equal(drawn, attention(states)[0])
    assert asked == [round(0.3 * 65_536)] * 2
    expected, _ = attention.eval()(states[:1])
    error = drawn.std(0) / 4000**0.5
    assert float(error.min()) > 0
    assert float(((drawn.mean(0) - expected[0]) / error).abs().max()) < 5


def test_a_saved_encoder_says_nothing_of_it(tmp_path: Path) -> None:
    model: Any = quiet(encoder(copy.deepcopy(CONFIGS[0])))
    model.save_pretrained(tmp_path)
    assert "raystilts" not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    assert AutoModel.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_an_encoder_with_attention_of_its_own_loads(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deberta"
    shutil.copytree(tiny_encoder, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    config = DebertaV2Config(
        **{**SIZES, "vocab_size": 4000}, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=4
    )
    AutoModel.from_config(config).save_pretrained(folder)
    loaded = pretrained(describe_encoder(Encoder(model_name_or_path=str(folder))))
    states = hidden_states(loaded.model, IDS, MASK, None, None)
    assert states.shape == (*IDS.shape, 16)
    assert torch.isfinite(states).all()


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


can_be_packed = pytest.mark.skipif(not has_bfloat16_products(), reason="no packed products in bfloat16 here")


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


@can_be_packed
@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 33), (16, 64), (9, 113), (4000, 2)])
@pytest.mark.parametrize(("inputs", "outputs"), [(384, 384), (384, 1536), (1536, 384), (100, 37)])
def test_the_same_products(shape: tuple[int, int], inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs).bfloat16()
    given = torch.randn(*shape, inputs).bfloat16()
    # The same bits where this was written; another processor may add in another order.
    torch.testing.assert_close(PackedLinear(layer)(given), layer(given), rtol=2**-7, atol=2**-7)


@can_be_packed
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


@can_be_packed
def test_what_is_not_in_bfloat16_is_left_alone() -> None:
    model = Shared()
    with packed(model):
        assert not any(isinstance(one, PackedLinear) for one in model.modules())


@can_be_packed
def test_a_layer_that_more_hangs_on_is_left_alone() -> None:
    """Old-style weight normalisation makes the weight in a hook before each product."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).bfloat16()
    model[0].register_forward_pre_hook(lambda module, inputs: None)
    with packed(model):
        assert [type(one) for one in model] == [nn.Linear, PackedLinear]
        assert [one.weight.shape for one in model] == [(8, 8), (8, 8)]
        assert len(list(model.parameters())) == 4
