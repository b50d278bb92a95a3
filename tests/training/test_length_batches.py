"""Batches of what is of similar length."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from raystilts.training.batches import length_batches


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
