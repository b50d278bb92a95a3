"""What stands on the encoder: one small module a kind of head, with its loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.training.collate import IGNORED, Batch
from raystilts.training.dropout import Dropout

Pooling = Literal["first", "mean"]


def pool_tokens(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a sequence, [features, hidden], from token states [features, length, hidden]."""
    if pooling == "first":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class Head(nn.Module):
    """Scores from token states, and the summed loss of a batch."""

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy summed over whatever `label_count` counts."""
        assert batch.labels is not None
        flat = scores.float().reshape(-1, scores.shape[-1])
        return functional.cross_entropy(flat, batch.labels.reshape(-1), ignore_index=IGNORED, reduction="sum")


class SequenceHead(Head):
    """Logits [features, classes] from the pooled sequence.

    On the first token as RoBERTa's classification head (dense, tanh, linear). On the mean over tokens one linear
    layer: encoders that were made for it, sentence encoders, separate well there, and a dense tanh layer saturates on
    the large component that all their sentences share.
    """

    def __init__(self, hidden: int, classes: int, dropout: float, pooling: Pooling) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(hidden, hidden) if pooling == "first" else None
        self.out = nn.Linear(hidden, classes)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        pooled = self.dropout(pool_tokens(states, batch.attention_mask, self.pooling))
        if self.dense is not None:
            pooled = self.dropout(torch.tanh(self.dense(pooled)))
        logits: Tensor = self.out(pooled)
        return logits


class ChoiceHead(SequenceHead):
    """Logits [examples, choices]: one score a choice; the choices of an example are neighbours."""

    def __init__(self, hidden: int, choices: int, dropout: float, pooling: Pooling) -> None:
        super().__init__(hidden, 1, dropout, pooling)
        self.choices = choices

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        return super().forward(states, batch).view(-1, self.choices)


class TokenHead(Head):
    """Logits [features, length, tags]."""

    def __init__(self, hidden: int, tags: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(hidden, tags)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        logits: Tensor = self.out(self.dropout(states))
        return logits


class SpanHead(Head):
    """Start and end scores [features, length, 2]; padding is out of reach."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, 2)

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        logits: Tensor = self.out(states)
        return logits.masked_fill(batch.attention_mask.unsqueeze(-1) == 0, torch.finfo(logits.dtype).min)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The mean of the losses of start and end, summed over features."""
        assert batch.labels is not None
        start = functional.cross_entropy(scores[..., 0].float(), batch.labels[:, 0], reduction="sum")
        end = functional.cross_entropy(scores[..., 1].float(), batch.labels[:, 1], reduction="sum")
        return (start + end) / 2


class MaskedLMHead(Head):
    """Vocabulary logits for the masked tokens only, [masked, vocabulary], with tied word embeddings.

    As in RoBERTa: dense, GELU, layer norm, decoder tied to the input embeddings, bias. Checkpoints that hold a
    trained head (`lm_head.*`) start from it.
    """

    def __init__(self, hidden: int, words: nn.Embedding, eps: float) -> None:
        super().__init__()
        # Some encoders (ELECTRA, ALBERT) have embeddings narrower than their states.
        self.dense = nn.Linear(hidden, words.embedding_dim)
        self.layer_norm = nn.LayerNorm(words.embedding_dim, eps=eps)
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))
        self._words = [words]  # tied: a parameter of the encoder, not of the head

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        if batch.labels is not None:
            states = states[batch.labels != IGNORED]
        return functional.linear(
            self.layer_norm(functional.gelu(self.dense(states))), self._words[0].weight, self.bias
        )

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        assert batch.labels is not None
        return functional.cross_entropy(scores.float(), batch.labels[batch.labels != IGNORED], reduction="sum")


def label_count(head: Head, batch: Batch) -> int:
    """How many predictions the summed loss is over."""
    assert batch.labels is not None
    if isinstance(head, SpanHead):
        return len(batch.labels)
    return int((batch.labels != IGNORED).sum())
