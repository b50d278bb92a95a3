from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from raystilts.training.batches import IGNORED, Batch
from raystilts.training.model import (
    ChoiceHead,
    MaskedLMHead,
    SequenceHead,
    SpanHead,
    TokenHead,
    label_count,
    pool_tokens,
)


def batch(labels: Tensor, mask: Tensor | None = None) -> Batch:
    mask = torch.ones(4, 5, dtype=torch.long) if mask is None else mask
    return Batch(torch.zeros_like(mask), mask, None, labels)


STATES = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(0))


def test_pooling_leaves_padding_out() -> None:
    mask = torch.tensor([[1, 1, 0, 0, 0]] * 4)
    assert torch.allclose(pool_tokens(STATES, mask, "mean"), STATES[:, :2].mean(1))
    assert torch.equal(pool_tokens(STATES, mask, "first"), STATES[:, 0])


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_shapes_and_counts(pooling: str) -> None:
    classes = SequenceHead(8, 3, 0.0, pooling)  # type: ignore[arg-type]
    one = batch(torch.tensor([0, 1, 2, 0]))
    assert classes(STATES, one).shape == (4, 3)
    assert label_count(classes, one) == 4
    choices = ChoiceHead(8, 2, 0.0, pooling)  # type: ignore[arg-type]
    two = batch(torch.tensor([1, 0]))
    assert choices(STATES, two).shape == (2, 2)
    assert label_count(choices, two) == 2


def test_ignored_tokens_neither_count_nor_cost() -> None:
    head = TokenHead(8, 3, 0.0)
    labels = torch.full((4, 5), IGNORED)
    labels[0, 1], labels[2, 3] = 2, 0
    one = batch(labels)
    scores = head(STATES, one)
    expected = -(scores[0, 1].log_softmax(-1)[2] + scores[2, 3].log_softmax(-1)[0])
    assert label_count(head, one) == 2
    assert torch.allclose(head.loss(scores, one), expected)


def test_spans_never_end_in_padding() -> None:
    mask = torch.tensor([[1, 1, 1, 0, 0]] * 4)
    head = SpanHead(8)
    one = batch(torch.tensor([[0, 1]] * 4), mask)
    scores = head(STATES, one)
    assert (scores.argmax(1) < 3).all()
    assert math.isfinite(head.loss(scores, one).item())
    assert label_count(head, one) == 4


@pytest.mark.parametrize("width", [8, 6])
def test_masked_lm_scores_masked_tokens_only(width: int) -> None:
    """Also where word embeddings are narrower than states, as in the embedded encoder."""
    words = nn.Embedding(11, width)
    head = MaskedLMHead(8, words, 1e-5)
    labels = torch.full((4, 5), IGNORED)
    labels[1, 2], labels[3, 0], labels[3, 4] = 10, 0, 4
    one = batch(labels)
    scores = head(STATES, one)
    assert scores.shape == (3, 11)
    assert label_count(head, one) == 3
    head.loss(scores, one).backward()  # type: ignore[no-untyped-call]
    assert words.weight.grad is not None
    assert "weight" not in dict(head.named_parameters())
