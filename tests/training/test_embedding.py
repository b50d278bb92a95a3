from __future__ import annotations

import pytest
import torch
from torch import nn

from raystilts.training.data import used_tokens
from raystilts.training.encoder import Pretrained
from raystilts.training.loop import train
from raystilts.training.model import CompactEmbedding, compact_rows

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
