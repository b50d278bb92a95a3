from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, PreTrainedConfig

from raystilts.tasks.registry import get_task
from raystilts.training.collate import IGNORED, Batch
from raystilts.training.data import used_tokens
from raystilts.training.encoder import Pretrained
from raystilts.training.loop import train
from raystilts.training.model import (
    ChoiceHead,
    CompactEmbedding,
    MaskedLMHead,
    SequenceHead,
    SpanHead,
    TokenHead,
    build_head,
    compact_rows,
    label_count,
    pool_tokens,
)

from .examples import equal, features, job, weights


@pytest.mark.parametrize("task", ["cldr_names", "cldr_dates"])
def test_the_same_weights_as_training_the_full_table(tiny: Pretrained, task: str) -> None:
    full = job(tiny, task, 6, weight_decay=0.1)
    train(full)
    expected = weights(full.model)
    tiny.restore(None, torch.device("cpu"))
    words = tiny.model.get_input_embeddings()  # type: ignore[operator]
    used = torch.from_numpy(used_tokens([features(tiny, task)], (1,)))
    with compact_rows(tiny.model, used):
        compact = job(tiny, task, 6, weight_decay=0.1)
        assert tiny.model.get_input_embeddings() is not words  # type: ignore[operator]
        train(compact)
    assert tiny.model.get_input_embeddings() is words  # type: ignore[operator]
    assert equal(weights(compact.model), expected, 1e-7)
    untouched = torch.ones(words.num_embeddings, dtype=torch.bool)
    untouched[used] = False
    before = tiny.weights["embeddings.word_embeddings.weight"]
    assert torch.equal(words.weight[untouched], before[untouched])
    assert not torch.equal(words.weight[used], before[used])


def test_evaluation_between_updates_sees_the_trained_rows() -> None:
    words = nn.Embedding(10, 4)
    compact = CompactEmbedding(words, torch.tensor([2, 5]))
    before = words.weight.detach().clone()
    with torch.no_grad():
        compact.rows.add_(1)
    assert torch.equal(words.weight, before)
    out = compact.eval()(torch.tensor([[2, 7]]))
    assert torch.equal(out[0, 0], before[2] + 1)
    assert torch.equal(out[0, 1], before[7])
    assert torch.equal(compact.train()(torch.tensor([5]))[0], before[5] + 1)


def test_the_table_comes_back_after_an_error(tiny: Pretrained) -> None:
    words = tiny.model.get_input_embeddings()  # type: ignore[operator]
    with pytest.raises(ZeroDivisionError), compact_rows(tiny.model, torch.tensor([1, 2])):
        raise ZeroDivisionError
    assert tiny.model.get_input_embeddings() is words  # type: ignore[operator]


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
    one = dataclasses.replace(batch(labels), masked=torch.tensor([7, 15, 19]))
    scores = head(STATES, one)
    assert scores.shape == (3, 11)
    assert torch.allclose(scores, head(STATES, batch(labels))[labels != IGNORED], atol=1e-6)
    assert label_count(head, one) == 3
    away = dataclasses.replace(one.to(torch.device("meta")), padded=False)
    found = copy.deepcopy(head).to("meta")
    found._words = [copy.deepcopy(words).to("meta")]
    assert found.loss(found(STATES.to("meta"), away), away).is_meta, "a GPU is asked nothing"
    head.loss(scores, one).backward()  # type: ignore[no-untyped-call]
    assert words.weight.grad is not None
    assert "weight" not in dict(head.named_parameters())


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
