from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel, DebertaV2Config, ModernBertConfig

from raystilts.planning.encoders import describe_encoder
from raystilts.study.schema import Encoder
from raystilts.training.encoder import attend_without_asking, hidden_states, pretrained
from raystilts.training.fast_cpu import dropout

from .encoders import CONFIGS, IDS, MASK, SIZES, encoder

#: transformers computes attention in these by functions of which one can be chosen.
CHOOSING = [config for config in CONFIGS if config.model_type != "deberta-v2"]


def quiet(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    attend_without_asking(model)
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
    attend_without_asking(model)
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


@torch.no_grad()
def test_what_is_mixed_is_dropped_and_its_mean_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = training(CONFIGS[0], 0.3)
    attend_without_asking(model)
    asked: list[float] = []

    def noted(inputs: torch.Tensor, p: float) -> torch.Tensor:
        asked.append(p)
        return dropout(inputs, p)

    monkeypatch.setattr("raystilts.training.encoder.drop", noted)
    attention = model.encoder.layer[0].attention.self
    states = torch.randn(1, 6, 16).expand(4000, 6, 16)
    torch.manual_seed(0)
    drawn, _ = attention(states)
    torch.manual_seed(0)
    assert torch.equal(drawn, attention(states)[0])
    assert asked == [0.3, 0.3]
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
