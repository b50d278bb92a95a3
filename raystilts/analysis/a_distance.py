"""Proxy A-distance: how well a linear classifier tells two domains apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

Matrix = NDArray[np.float64]


def proxy_a_distance(one: Matrix, other: Matrix, folds: int = 5, penalty: float = 1.0, seed: int = 0) -> float:
    """2 (1 - 2 e), e the held-out error of a linear classifier of the two domains (Ben-David et al. 2007).

    2 where the domains are always told apart, 0 where they are not at all; a little below 0 by chance. The two sets
    are cut to one size, so that guessing has error 1/2; every fold is standardised by its training part alone.

    Args:
        one: Embeddings, shape [texts, d], of at least `folds` texts.
        other: Likewise.
        folds: Parts of the cross-validation.
        penalty: Of the squared weights, over the summed loss.
        seed: Of the order of the texts.
    """
    rng = np.random.default_rng([31, seed])
    size = min(len(one), len(other))
    sets = [points[rng.permutation(len(points))[:size]] for points in (one, other)]
    fold = np.arange(size) % folds
    wrong = 0
    for held in range(folds):
        train = np.concatenate([points[fold != held] for points in sets])
        labels = np.repeat([1.0, -1.0], int((fold != held).sum()))
        mean, spread = train.mean(axis=0), train.std(axis=0)
        spread[spread == 0] = 1.0
        weights = logistic_regression((train - mean) / spread, labels, penalty)
        for sign, points in zip((1.0, -1.0), sets, strict=True):
            side = (points[fold == held] - mean) / spread @ weights[:-1] + weights[-1]
            wrong += int((side * sign <= 0).sum())
    return 2 * (1 - 2 * wrong / (2 * size))


def logistic_regression(points: Matrix, labels: Matrix, penalty: float) -> Matrix:
    """The weights that minimise sum log(1 + exp(-y (w x + b))) + penalty |w|^2 / 2.

    Args:
        points: Shape [rows, d].
        labels: 1 or -1, shape [rows].

    Returns:
        The d weights, then b.
    """

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        margin = labels * (points @ weights[:-1] + weights[-1])
        pull = -labels * expit(-margin)
        gradient = np.append(points.T @ pull + penalty * weights[:-1], pull.sum())
        return float(-log_expit(margin).sum() + penalty * (weights[:-1] ** 2).sum() / 2), gradient

    found = minimize(loss, np.zeros(points.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x)
