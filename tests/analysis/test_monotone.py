from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.analysis.curves import isotonic, monotonicity_p

Numbers = st.lists(st.floats(-5, 5), min_size=2, max_size=9)


def test_pools_neighbours_that_are_out_of_order() -> None:
    assert isotonic([1.0, 3.0, 2.0, 4.0], [1, 1, 1, 1]).tolist() == [1.0, 2.5, 2.5, 4.0]
    assert isotonic([1.0, 3.0, 2.0, 4.0], [1, 3, 1, 1]).tolist() == [1.0, 2.75, 2.75, 4.0]


@given(Numbers, st.data())
def test_is_the_nearest_rising_sequence(values: list[float], data: st.DataObject) -> None:
    weights = np.array(data.draw(st.lists(st.integers(1, 5), min_size=len(values), max_size=len(values))), dtype=float)
    y = np.array(values)
    fitted = isotonic(y, weights)
    assert (np.diff(fitted) >= -1e-12).all()
    other = np.sort(data.draw(st.lists(st.floats(-5, 5), min_size=len(values), max_size=len(values))))
    assert np.sum(weights * (y - fitted) ** 2) <= np.sum(weights * (y - other) ** 2) + 1e-9


def test_many_rows_at_once_are_each_alone() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 6))
    alone = np.array([isotonic(row, np.ones(6)) for row in rows])
    assert np.allclose(isotonic(rows, np.ones(6)), alone)


def test_monotone_curves_in_either_direction_are_not_rejected() -> None:
    rising = np.arange(6.0)
    assert monotonicity_p(rising, np.full(6, 3.0), 0.01, 12) == 1.0
    assert monotonicity_p(-rising, np.full(6, 3.0), 0.01, 12) == 1.0


def test_a_hump_beyond_the_noise_is_rejected_and_one_within_is_not() -> None:
    hump = np.array([0.0, 1.0, 2.0, 1.0, 0.0])
    counts = np.full(5, 3.0)
    small = monotonicity_p(hump, counts, 0.05, 10)
    large = monotonicity_p(hump, counts, 50.0, 10)
    assert small is not None
    assert large is not None
    assert small < 0.001
    assert large > 0.5


@pytest.mark.parametrize(("points", "variance", "df"), [(2, 1.0, 5), (5, float("nan"), 0), (5, 0.0, 5)])
def test_nothing_is_said_where_nothing_can_be(points: int, variance: float, df: float) -> None:
    assert monotonicity_p(np.arange(points), np.ones(points), variance, df) is None
