"""An encoder with the heads of the tasks that it is trained or scored on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from raystilts.tasks.task import Task
from raystilts.training.collate import Batch
from raystilts.training.encoder import Pretrained, hidden_states, word_embeddings
from raystilts.training.heads import ChoiceHead, Head, MaskedLMHead, Pooling, SequenceHead, SpanHead, TokenHead


class Model(nn.Module):
    """One encoder, one head a part of the mixture.

    Args:
        encoder: The Hugging Face model.
        heads: In the order of the mixture's parts; others that train with them behind.
    """

    def __init__(self, encoder: nn.Module, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)

    def states(self, batch: Batch, layer: int | None = None) -> Tensor:
        """Token states [features, length, hidden]."""
        mask = batch.attention_mask if batch.padded else None
        return hidden_states(self.encoder, batch.input_ids, mask, batch.token_type_ids, layer)

    def head(self, part: int) -> Head:
        """The head of one part."""
        return cast(Head, self.heads[part])


def build_head(task: Task, pretrained: Pretrained, pooling: Pooling, seed: int) -> Head:
    """A fresh head; the seed alone determines its weights, whatever the arm."""
    torch.manual_seed(seed)
    config, kind = pretrained.config, task.type
    stated = getattr(config, "hidden_dropout_prob", None)
    dropout = 0.1 if stated is None else float(stated)
    if kind.head == "sequence":
        return _small(SequenceHead(pretrained.hidden, kind.num_labels, dropout, pooling))
    if kind.head == "choice":
        return _small(ChoiceHead(pretrained.hidden, kind.num_labels, dropout, pooling))
    if kind.head == "token":
        return _small(TokenHead(pretrained.hidden, kind.num_labels, dropout))
    if kind.head == "span":
        return _small(SpanHead(pretrained.hidden))
    assert kind.head == "masked_lm", kind.head
    words = word_embeddings(pretrained.model)
    head = _small(MaskedLMHead(pretrained.hidden, words, float(getattr(config, "layer_norm_eps", 1e-5))))
    if pretrained.lm_head:
        head.load_state_dict(pretrained.lm_head, strict=False)
    return head


def _small(head: Head) -> Head:
    """BERT's initialisation: normal with s.d. 0.02, biases zero."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return head
