from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.metrics.retrieval import nearest, neighbours

SEEDS = st.integers(0, 2**32 - 1)


def test_nearest_is_by_angle_not_by_length() -> None:
    index = np.array([[100.0, 100.0], [0.1, 0.0], [0.0, 3.0]])
    queries = np.array([[5.0, 0.1], [1.0, 1.0], [0.1, 1.0]])
    found = nearest(queries, index)
    assert found.tolist() == [1, 0, 2]
    assert found.dtype == np.int64


def test_float32_vectors_and_any_length_of_rows() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 16)).astype(np.float32)
    noisy = vectors + 0.01 * rng.normal(size=vectors.shape).astype(np.float32)
    assert nearest(noisy, vectors * rng.uniform(0.1, 9, size=(300, 1))).tolist() == list(
        range(300)
    )


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_ties_go_to_the_lowest_index_whatever_the_block(block: int) -> None:
    same = np.tile(np.linspace(0.1, 1.3, 33), (20, 1))
    assert nearest(same, same, block=block).tolist() == [0] * 20
    assert neighbours(same, same, 3, block=block).index.tolist() == [[0, 1, 2]] * 20


def test_a_vector_of_zeros_is_equally_far_from_all() -> None:
    assert nearest(np.zeros((1, 2)), np.eye(2)).tolist() == [0]


def test_neighbours_are_ordered_and_at_most_as_many_as_indexed() -> None:
    found = neighbours(np.array([[1.0, 0.2]]), np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), k=9)
    assert found.index.tolist() == [[1, 2, 0]]
    length = np.sqrt(1.04)
    expected = [1 / length, 1.2 / (length * np.sqrt(2)), 0.2 / length]
    assert found.cosine[0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 5), st.integers(1, 30))
def test_blocks_change_nothing(seed: int, k: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    queries, index = rng.normal(size=(13, 4)), rng.normal(size=(17, 4))
    cosines = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (
        index / np.linalg.norm(index, axis=1)[:, None]
    ).T
    expected = np.argsort(-cosines, axis=1)[:, :k]
    assert neighbours(queries, index, k, block).index.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("queries", "index", "message"),
    [
        (np.zeros((0, 2)), np.eye(2), "expected rows on both sides"),
        (np.eye(2), np.eye(3), "same number of dimensions"),
        (np.ones(3), np.eye(3), r"shape \(3,\)"),
        (np.array([[np.nan, 1.0]]), np.eye(2), "nan or infinity"),
    ],
)
def test_vectors_that_cannot_be_searched(
    queries: np.ndarray, index: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nearest(queries, index)


def test_block_and_k_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="block is 0"):
        nearest(np.eye(2), np.eye(2), block=0)
    with pytest.raises(ValueError, match="k is 0"):
        neighbours(np.eye(2), np.eye(2), 0)
