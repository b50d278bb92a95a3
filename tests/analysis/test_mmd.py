from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.analysis.domain_distances import mmd, rbf_kernel, squared_distances, unbiased_mmd


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
