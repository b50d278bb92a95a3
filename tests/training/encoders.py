"""Small encoders of several architectures, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    XLMRobertaConfig,
)

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
DISTIL = {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
CONFIGS = [
    BertConfig(**SIZES),
    XLMRobertaConfig(**SIZES, pad_token_id=1),
    ElectraConfig(**SIZES, embedding_size=8),
    AlbertConfig(**SIZES, embedding_size=8),
    DebertaV2Config(**SIZES, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=4),
    ModernBertConfig(**SIZES, pad_token_id=0, eos_token_id=1, bos_token_id=2, cls_token_id=2, sep_token_id=1),
    DistilBertConfig(**DISTIL),
]
IDS = torch.arange(3, 3 + 18).reshape(3, 6)
MASK = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 6])


def encoder(config: Any) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = AutoModel.from_config(config)
    return model.eval()
