from __future__ import annotations

import pytest
from torch import nn
from transformers import BertConfig, PreTrainedConfig

from raystilts.tasks.registry import get_task
from raystilts.training.encoder import Pretrained
from raystilts.training.model import build_head


@pytest.mark.parametrize(
    ("config", "expected"),
    [(BertConfig(hidden_dropout_prob=0.0), 0.0), (BertConfig(hidden_dropout_prob=0.3), 0.3), (PreTrainedConfig(), 0.1)],
)
def test_a_head_drops_out_as_its_encoder_does(
    tiny: Pretrained, monkeypatch: pytest.MonkeyPatch, config: PreTrainedConfig, expected: float
) -> None:
    monkeypatch.setattr(tiny.model, "config", config)
    head = build_head(get_task("cldr_names"), tiny, "first", 0)
    assert [part.p for part in head.modules() if isinstance(part, nn.Dropout)] == [expected]
