from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModel, DebertaV2Config

from raystilts.study.encoders import describe_encoder
from raystilts.study.schema import Encoder
from raystilts.training.attention import attend_without_asking
from raystilts.training.encoder import hidden_states, pretrained

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
