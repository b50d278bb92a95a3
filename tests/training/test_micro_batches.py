"""A batch in pieces."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raystilts.tasks.encoding import Features, Ragged
from raystilts.training.batches import features_of, micro_batches


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
