from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from raystilts.tasks.encoding import Features, Ragged
from raystilts.training.batches import IGNORED, Batch, collate, features_of, mask_tokens, pad


def features(**more: Any) -> Features:
    """Three examples; the middle one has two features."""
    ids = Ragged.from_rows([[5, 6], [7, 8, 9], [7], [4, 4, 4, 4]], np.int32)
    return Features(input_ids=ids, example=np.array([0, 1, 1, 2]), num_examples=3, **more)


def test_features_of_examples_in_the_order_asked() -> None:
    assert features_of(features(), np.array([2, 1])).tolist() == [3, 1, 2]
    assert features_of(features(), np.array([0])).tolist() == [0]


def test_pad_to_the_longest_or_a_multiple() -> None:
    ids = features().input_ids
    assert pad(ids.values, ids.offsets, np.array([1, 0]), -1).tolist() == [[7, 8, 9], [5, 6, -1]]
    assert pad(ids.values, ids.offsets, np.array([2]), 0, multiple=4).tolist() == [[7, 0, 0, 0]]


def test_collate() -> None:
    batch = collate(features(labels=np.array([10, 11, 12])), np.array([3, 0]), 1)
    assert batch.input_ids.tolist() == [[4, 4, 4, 4], [5, 6, 1, 1]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.token_type_ids is None


@pytest.mark.parametrize(("examples", "labels"), [([2, 0], [12, 10]), ([1, 0, 2], [11, 10, 12]), ([0, 1], [10, 11])])
def test_labels_follow_the_order_of_the_examples(examples: list[int], labels: list[int]) -> None:
    found = features(labels=np.array([10, 11, 12]))
    batch = collate(found, features_of(found, np.array(examples)), 1)
    assert batch.labels is not None
    assert batch.labels.tolist() == labels


def test_labels_of_spans_and_tokens() -> None:
    spans = collate(features(labels=np.array([[0, 1], [1, 1], [0, 0], [2, 3]])), np.array([3, 1]), 1)
    assert spans.labels is not None
    assert spans.labels.tolist() == [[2, 3], [1, 1]]
    tags = Ragged.from_rows([[IGNORED, 1], [0, 1, 2], [0], [3, 3, 3, 3]], np.int64)
    tokens = collate(features(token_labels=tags), np.array([1, 0]), 1)
    assert tokens.labels is not None
    assert tokens.labels.tolist() == [[0, 1, 2], [IGNORED, 1, IGNORED]]


def masked(seed: int) -> tuple[Batch, Batch]:
    """A large batch with starts (0), padding (1) and words, before and after masking."""
    ids = torch.randint(10, 500, (200, 100), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[:, 90:] = 0, 1
    mask = (ids != 1).long()
    batch = Batch(ids, mask, None, None)
    special = torch.tensor([0, 1, 2, 3, 4])
    return batch, mask_tokens(batch, 500, 4, special, torch.Generator().manual_seed(seed))


def test_masking_rates() -> None:
    batch, out = masked(0)
    assert out.labels is not None
    chosen = out.labels != IGNORED
    assert torch.equal(out.labels[chosen], batch.input_ids[chosen])
    assert torch.equal(out.input_ids[~chosen], batch.input_ids[~chosen])
    assert not chosen[:, 0].any()
    assert not chosen[:, 90:].any()
    assert float(chosen.sum()) / (200 * 89) == pytest.approx(0.15, abs=0.01)
    inputs, gold = out.input_ids[chosen], out.labels[chosen]
    assert float((inputs == 4).float().mean()) == pytest.approx(0.8, abs=0.02)
    assert float((inputs == gold).float().mean()) == pytest.approx(0.1, abs=0.02)


def test_the_same_draw_masks_the_same_tokens() -> None:
    assert torch.equal(masked(0)[1].input_ids, masked(0)[1].input_ids)
    assert not torch.equal(masked(0)[1].input_ids, masked(1)[1].input_ids)
