from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from raystilts.analysis.transferability_scores import h_score, ledoit_wolf, logme


def icml(embeddings: np.ndarray, target: np.ndarray) -> float:
    """The largest evidence a text by equation 2 of the ICML paper, with full D x D matrices."""
    count, width = embeddings.shape

    def lacking(logs: np.ndarray) -> float:
        alpha, beta = np.exp(logs)
        a = alpha * np.eye(width) + beta * embeddings.T @ embeddings
        m = beta * np.linalg.solve(a, embeddings.T @ target)
        return -float(
            count / 2 * logs[1] + width / 2 * logs[0] - count / 2 * np.log(2 * np.pi)
            - beta / 2 * ((embeddings @ m - target) ** 2).sum() - alpha / 2 * m @ m - np.linalg.slogdet(a)[1] / 2
        )  # fmt: skip

    bounds = [(-12.0, 12.0), (-12.0, 12.0)]
    starts = [[0.0, 0.0], [4.0, 2.0], [8.0, 0.0]]
    found: list[float] = [float(minimize(lacking, start, bounds=bounds).fun) for start in starts]
    return float(-min(found) / count)


def data(count: int, width: int, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=count)
    embeddings = rng.normal(size=(count, width))
    embeddings[:, 0] += signal * labels
    return embeddings, labels


@pytest.mark.parametrize(("count", "width"), [(80, 10), (40, 40), (30, 90)])
def test_it_is_the_icml_form_with_more_texts_than_dimensions_and_with_fewer(count: int, width: int) -> None:
    embeddings, labels = data(count, width, 3.0)
    expected = np.mean([icml(embeddings, (labels == one).astype(float)) for one in (0, 1)])
    assert logme(embeddings, labels) == pytest.approx(expected, abs=1e-3)


def test_the_evidence_is_the_marginal_likelihood() -> None:
    embeddings, labels = data(25, 60, 3.0)
    expected = []
    for one in (0, 1):
        grid = [
            multivariate_normal(np.zeros(25), np.eye(25) / b + embeddings @ embeddings.T / a).logpdf(labels == one)
            for a in np.geomspace(1, 1e5, 60)
            for b in np.geomspace(1, 1e3, 60)
        ]
        expected.append(max(grid) / 25)
    assert logme(embeddings, labels) == pytest.approx(np.mean(expected), abs=3e-3)


def test_random_features_of_large_dimension_explain_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    # What is left is noise of variance 1/2, the mean of the squared labels.
    assert logme(rng.normal(size=(100, 768)), labels) == pytest.approx(-np.log(np.pi) / 2 - 1 / 2, abs=0.01)


def test_more_signal_is_higher() -> None:
    values = [logme(*data(100, 20, signal)) for signal in (0.0, 1.0, 3.0)]
    assert values == sorted(values)
    assert values[2] - values[0] > 0.1


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
