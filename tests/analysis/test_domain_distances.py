from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.analysis.domain_distances import (
    coral_distance,
    jensen_shannon,
    logistic_regression,
    mmd,
    proxy_a_distance,
    rbf_kernel,
    squared_distances,
    subword_counts,
    unbiased_mmd,
)
from raystilts.tasks.encoding import Ragged


def by_hand(kernel: np.ndarray, size: int) -> float:
    """The unbiased estimate, term by term."""
    n, m = size, len(kernel) - size
    one = sum(kernel[i, j] for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    other = sum(kernel[n + i, n + j] for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return float(one + other - 2 * kernel[:n, n:].mean())


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 99))
def test_the_estimate_is_that_of_the_sums(n: int, m: int, seed: int) -> None:
    kernel = rbf_kernel(np.random.default_rng(seed).normal(size=(n + m, 3)))
    members = np.concatenate([np.ones(n), np.zeros(m)])[:, None]
    assert unbiased_mmd(kernel, members)[0] == pytest.approx(by_hand(kernel, n))


def test_the_kernel_has_the_median_distance_as_its_width() -> None:
    points = np.array([[0.0], [1.0], [3.0]])  # squared distances 1, 4, 9
    assert squared_distances(points)[0, 2] == 9
    assert rbf_kernel(points)[0, 1] == pytest.approx(np.exp(-1 / 8))
    assert (rbf_kernel(np.zeros((3, 2))) == 1).all()


def test_sets_that_differ_and_sets_that_do_not() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(60, 4)), rng.normal(size=(50, 4))
    same, shifted = mmd(one, other, permutations=199), mmd(one, other + 2, permutations=199)
    assert shifted.p == 1 / 200
    assert shifted.squared > 0.3
    assert abs(same.squared) < 0.02
    assert same.p > 0.05
    assert mmd(one, other, permutations=199) == same  # the same divisions each time


def test_p_counts_every_division_that_is_as_far_apart() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 1)), rng.normal(size=(2, 1)) + 9
    # Of the 6 divisions of 4 texts, 2 separate the sets: p is near 1/3.
    assert mmd(one, other, permutations=4000).p == pytest.approx(1 / 3, abs=0.03)


def test_domains_that_a_line_parts_are_at_two() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=(50, 3))
    assert proxy_a_distance(one, rng.normal(size=(80, 3)) + np.array([20, 0, 0])) == 2.0


def test_one_domain_in_two_parts_is_at_about_zero() -> None:
    points = np.random.default_rng(1).normal(size=(2000, 2))
    assert proxy_a_distance(points[:1000], points[1000:]) == pytest.approx(0, abs=0.15)


def test_the_known_error_of_two_normal_domains() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 1)) + 2
    # Bayes' rule errs with probability Phi(-1) = 0.1587.
    assert proxy_a_distance(one, other) == pytest.approx(2 * (1 - 2 * 0.1587), abs=0.06)


def test_a_larger_set_is_cut_so_that_guessing_has_error_one_half() -> None:
    rng = np.random.default_rng(3)
    # A classifier that saw 100 to 2000 would call everything the second domain: error 1/21, distance 1.8.
    assert proxy_a_distance(rng.normal(size=(100, 2)), rng.normal(size=(2000, 2))) < 0.5


def test_a_dimension_without_spread_does_no_harm() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 20
    one[:, 1] = other[:, 1] = 1.0
    assert proxy_a_distance(one, other) == 2.0


def test_the_weights_are_a_minimum() -> None:
    rng = np.random.default_rng(5)
    points, labels = rng.normal(size=(30, 3)), np.where(rng.random(30) < 0.5, 1.0, -1.0)

    def objective(weights: np.ndarray) -> float:
        margin = labels * (points @ weights[:-1] + weights[-1])
        return float(np.log1p(np.exp(-margin)).sum() + (weights[:-1] ** 2).sum())

    best = logistic_regression(points, labels, 2.0)
    slopes = [objective(best + 1e-4 * axis) - objective(best - 1e-4 * axis) for axis in np.eye(4)]
    assert np.abs(slopes).max() / 2e-4 < 1e-2
    assert all(objective(best + step) > objective(best) for step in 0.1 * rng.normal(size=(20, 4)))


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


def test_equal_disjoint_and_a_known_pair() -> None:
    assert jensen_shannon(np.array([1.0, 3.0]), np.array([10.0, 30.0])) == 0
    assert jensen_shannon(np.array([2.0, 0.0, 1.0]), np.array([0.0, 5.0, 0.0])) == 1
    # p = (1, 0), q = (1/2, 1/2): m = (3/4, 1/4).
    expected = (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)) / 2
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(expected)


def test_special_tokens_do_not_count() -> None:
    ids = Ragged.from_rows([[0, 3, 3, 2], [0, 4, 2]], np.int32)
    assert subword_counts(ids, 6, (0, 2)).tolist() == [0, 0, 0, 2, 1, 0]
