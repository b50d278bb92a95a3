from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.analysis.presentation import spread_labels


def test_only_what_is_close_is_moved_apart() -> None:
    assert spread_labels([0.0, 5.0], 1.0) == [0.0, 5.0]
    assert spread_labels([], 1.0) == []
    assert spread_labels([3.0, 3.0, 9.0], 1.5) == [2.5, 4.0, 8.5]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12), st.floats(0.01, 10))
def test_heights_keep_their_order_their_mean_and_the_gap(heights: list[float], gap: float) -> None:
    moved = spread_labels(heights, gap)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    assert all(moved[b] - moved[a] >= gap - 1e-9 for a, b in pairwise(order))
    assert sum(moved) == pytest.approx(sum(heights), abs=1e-6)
