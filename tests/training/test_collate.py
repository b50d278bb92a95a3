from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raystilts.tasks.encoding import Features, Ragged
from raystilts.training.collate import (
    IGNORED,
    Batch,
    collate,
    features_of,
    length_batches,
    mask_tokens,
    micro_batches,
    pad,
)


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
    assert out.masked is not None
    assert torch.equal(out.masked, chosen.flatten().nonzero().flatten())
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


def examples_of(*lengths: list[int]) -> Features:
    """Examples, each with features of the given lengths."""
    ids = Ragged.from_rows([[1] * one for own in lengths for one in own], np.int32)
    example = np.repeat(np.arange(len(lengths)), [len(own) for own in lengths])
    return Features(ids, example, len(lengths))


def test_shortest_first_and_no_more_than_fits() -> None:
    features = examples_of([5], [2], [9], [3], [3])
    everything = np.arange(5)
    assert [one.tolist() for one in micro_batches(features, everything, 8, None)] == [[1, 3, 4, 0, 2]]
    assert [one.tolist() for one in micro_batches(features, everything, 2, None)] == [[1, 3], [4, 0], [2]]
    assert [one.tolist() for one in micro_batches(features, everything, 8, 9)] == [[1, 3, 4], [0], [2]]
    assert [one.tolist() for one in micro_batches(features, everything, 8, 8)] == [[1, 3], [4], [0], [2]]


def test_all_features_of_an_example_count() -> None:
    features = examples_of([2, 7], [3, 3], [4, 1])
    # [1, 2] are four features, the longest of four sub-words; an example is as long as its longest feature.
    assert [one.tolist() for one in micro_batches(features, np.array([2, 1, 0]), 8, 16)] == [[1, 2], [0]]
    assert [one.tolist() for one in micro_batches(features, np.array([2, 1, 0]), 8, 15)] == [[1], [2], [0]]


@given(
    st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=12),
    st.data(),
    st.integers(1, 8),
    st.one_of(st.none(), st.integers(1, 200)),
)
def test_every_example_is_in_one_piece_within_the_limits(
    lengths: list[list[int]], data: st.DataObject, size: int, tokens: int | None
) -> None:
    features = examples_of(*lengths)
    # The same example may be drawn twice for a batch.
    examples = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=16)))
    pieces = micro_batches(features, examples, size, tokens)
    assert sorted(np.concatenate(pieces).tolist()) == sorted(examples.tolist())
    longest = [max(lengths[i]) for piece in pieces for i in piece]
    assert longest == sorted(longest)
    for piece in pieces:
        own = features.input_ids.lengths[features_of(features, piece)]
        padded = len(own) * int(own.max())
        assert 1 <= len(piece) <= size
        assert tokens is None or len(piece) == 1 or padded <= tokens


def test_batches_hold_what_is_of_similar_length_whatever_its_set() -> None:
    lengths = np.array([30, 5, 8, 29, 6, 7], dtype=np.int64)
    assert [batch.tolist() for batch in length_batches(lengths, 60)] == [[0, 3], [2, 5, 4, 1]]
    # Choices of an example stay together: three examples of two choices, the longest choice counts.
    assert [batch.tolist() for batch in length_batches(lengths, 60, 2)] == [[0, 1], [2, 3], [4, 5]]
    assert [batch.tolist() for batch in length_batches(lengths, 120, 2)] == [[0, 1, 2, 3], [4, 5]]


@given(lengths=st.lists(st.integers(0, 50), min_size=1, max_size=30), tokens=st.integers(1, 200))
def test_every_feature_is_in_one_batch_within_the_budget(lengths: list[int], tokens: int) -> None:
    counts = np.array(lengths, dtype=np.int64)
    batches = length_batches(counts, tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert all(len(rows) == 1 or len(rows) * counts[rows].max() <= tokens for rows in batches)
