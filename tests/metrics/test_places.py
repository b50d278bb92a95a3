from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.metrics.retrieval import average_precision, places

INDEX = np.array([[1.0, 0.0], [0.9, 0.5], [0.0, 1.0]])
QUERIES = np.array([[2.0, 0.0], [0.0, 0.1], [1.0, 0.0]])


def reference(targets: set[int], ranked: list[int], k: int | None = None) -> float:
    """Average precision as XTREME-R's script defines it, on a full ranking without ties."""
    score = hits = 0.0
    for place, item in enumerate(ranked[:k], start=1):
        if item in targets:
            hits += 1
            score += hits / place
    return score / (min(len(targets), k) if k else len(targets))


@pytest.mark.parametrize("block", [1, 2, 100])
def test_places_by_hand(block: int) -> None:
    # Rankings 0 1 2, 2 1 0, 0 1 2.
    assert places(QUERIES, INDEX, [[0], [1, 0], [2]], block) == [[1], [2, 3], [3]]


@pytest.mark.parametrize("block", [1, 2, 100])
def test_mean_average_precision_by_hand(block: int) -> None:
    # Precisions 1, (1/2 + 2/3) / 2 and 1/3.
    found = places(QUERIES, INDEX, [[0], [1, 0], [2]], block)
    assert [average_precision(one) for one in found] == pytest.approx([1, 7 / 12, 1 / 3])


def test_average_precision_by_hand() -> None:
    # Right items at places 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision([3, 1]) == pytest.approx(5 / 6)
    assert average_precision([2, 4]) == pytest.approx(1 / 2)


@pytest.mark.parametrize("block", [1, 3, 64])
def test_ties_share_the_last_place_of_their_group(block: int) -> None:
    same = np.tile(np.linspace(0.1, 1.3, 33), (10, 1))
    assert places(same[:2], same, [[3], [0, 9]], block) == [[10], [10, 10]]
    assert average_precision([10]) == pytest.approx(0.1)
    assert average_precision([10, 10]) == pytest.approx(0.2)


def test_one_right_item_within_the_first_twenty() -> None:
    assert [average_precision([place], k=20) for place in (1, 4, 20, 21)] == [1.0, 0.25, 0.05, 0.0]


def test_several_right_items_within_the_first_k() -> None:
    assert average_precision([1, 3], k=3) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([1, 2, 3], k=2) == 1.0
    assert average_precision([5, 6], k=3) == 0.0


def test_what_has_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one place"):
        average_precision([])
    with pytest.raises(ValueError, match="k 0"):
        average_precision([1], k=0)
    with pytest.raises(ValueError, match=r"query 1: right items \[3\], expected each once and in 0\.\.2"):
        places(QUERIES, INDEX, [[0], [3], [1]])
    with pytest.raises(ValueError, match="query 0"):
        places(QUERIES, INDEX, [[0, 0], [1], [1]])
    with pytest.raises(ValueError, match="3 predictions for 2"):
        places(QUERIES, INDEX, [[0], [1]])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6))
def test_the_same_as_ranking_everything(seed: int, block: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    queries, index = rng.normal(size=(7, 4)), rng.normal(size=(19, 4))
    relevant = [rng.choice(19, size=rng.integers(1, 5), replace=False).tolist() for _ in range(7)]
    found = places(queries, index, relevant, block)
    unit = index / np.linalg.norm(index, axis=1, keepdims=True)
    for query, right, at in zip(queries, relevant, found, strict=True):
        ranked = np.argsort(-(unit @ query)).tolist()
        assert average_precision(at) == pytest.approx(reference(set(right), ranked))
        assert average_precision(at, k) == pytest.approx(reference(set(right), ranked, k))


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=15), st.data())
def test_range_and_a_perfect_ranking(scores: list[float], data: st.DataObject) -> None:
    right = sorted(data.draw(st.sets(st.integers(0, len(scores) - 1), min_size=1)))
    vectors = np.array([[score, 1.0] for score in scores])
    [found] = places(np.array([[1.0, 0.0]]), vectors, [right])
    assert 0.0 < average_precision(found) <= 1.0
    perfect = np.array([[float(i in right), float(i not in right)] for i in range(len(scores))])
    [best] = places(np.array([[1.0, 0.0]]), perfect, [right])
    assert best == [len(right)] * len(right)
    assert average_precision(best) == average_precision(best, k=len(right)) == 1.0


def test_memory_stays_far_below_the_full_matrix() -> None:
    rng = np.random.default_rng(0)
    index = rng.normal(size=(4000, 8))
    tracemalloc.start()
    found = places(index[:500], index, [[i] for i in range(500)], block=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [[1]] * 500
    assert peak < 500 * 4000 * 8 / 4
