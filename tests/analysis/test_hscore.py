from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.transferability_scores import h_score, ledoit_wolf


def test_ledoit_wolf_by_its_sums() -> None:
    points = np.random.default_rng(0).normal(size=(12, 4)) * [1, 2, 3, 4]
    points -= points.mean(axis=0)
    sample = points.T @ points / 12
    mu = np.trace(sample) / 4
    # Norms are divided by the dimension, as in the paper.
    d2 = ((sample - mu * np.eye(4)) ** 2).sum() / 4
    b2 = np.mean([((np.outer(x, x) - sample) ** 2).sum() / 4 for x in points]) / 12
    covariance, shrinkage = ledoit_wolf(points)
    assert shrinkage == pytest.approx(min(b2, d2) / d2)
    assert covariance == pytest.approx((1 - shrinkage) * sample + shrinkage * mu * np.eye(4))


def test_classes_that_explain_everything_reach_their_number_less_one() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(3000) % 3
    points = np.eye(3)[labels][:, :2] * 10 + rng.normal(size=(3000, 2)) * 1e-2
    assert h_score(points, labels) == pytest.approx(2, abs=0.02)


def test_labels_that_say_nothing_are_at_about_zero_even_with_fewer_texts_than_dimensions() -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(60) % 2
    noise = rng.normal(size=(60, 200))
    assert h_score(noise, labels) < 0.1  # without shrinkage it would be 1: 200 dimensions part any 60 texts
    noise[:, 0] += 6 * labels
    assert h_score(noise, labels) > 0.2


def test_without_spread_there_is_nothing_to_shrink() -> None:
    points = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    covariance, shrinkage = ledoit_wolf(points)
    assert shrinkage == 0
    assert covariance == pytest.approx(np.eye(2) / 2)
