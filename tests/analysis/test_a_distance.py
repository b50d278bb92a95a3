from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.domain_distances import logistic_regression, proxy_a_distance


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
