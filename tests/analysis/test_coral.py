from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.domain_distances import coral_distance


def test_a_known_pair_of_covariances() -> None:
    one = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # covariance 2/3 on the diagonal
    other = np.array([[2.0, 2.0], [-2.0, -2.0]])  # covariance 8 everywhere
    expected = (2 * (8 - 2 / 3) ** 2 + 2 * 8**2) / (4 * 2**2)
    assert coral_distance(one, other) == pytest.approx(expected)
    assert coral_distance(other, one) == pytest.approx(expected)


def test_a_shift_is_not_seen_and_a_scale_is() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert coral_distance(points, points + 5) == pytest.approx(0, abs=1e-20)
    twice = ((4 - 1) ** 2 * (np.cov(points, rowvar=False) ** 2).sum()) / 36
    assert coral_distance(points, 2 * points) == pytest.approx(twice)


def test_embeddings_of_one_dimension() -> None:
    assert coral_distance(np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]])) == pytest.approx((8 - 2) ** 2 / 4)
