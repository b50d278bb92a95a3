"""How far apart two sets of texts are: by a classifier, by covariances, by a test of embeddings, by sub-words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from raystilts.tasks.encoding import Ragged

Matrix = NDArray[np.float64]
#: Parts of the cross-validation.
FOLDS = 5


def proxy_a_distance(one: Matrix, other: Matrix) -> float:
    """2 (1 - 2 e), e the held-out error of a linear classifier of the two domains (Ben-David et al. 2007).

    2 where the domains are always told apart, 0 where they are not at all; a little below 0 by chance. The two sets
    are cut to one size, so that guessing has error 1/2; every fold is standardised by its training part alone.

    Args:
        one: Embeddings, shape [texts, d], of at least `FOLDS` texts.
        other: Likewise.
    """
    rng = np.random.default_rng([31, 0])
    size = min(len(one), len(other))
    sets = [points[rng.permutation(len(points))[:size]] for points in (one, other)]
    fold = np.arange(size) % FOLDS
    wrong = 0
    for held in range(FOLDS):
        train = np.concatenate([points[fold != held] for points in sets])
        labels = np.repeat([1.0, -1.0], int((fold != held).sum()))
        mean, spread = train.mean(axis=0), train.std(axis=0)
        spread[spread == 0] = 1.0
        weights = logistic_regression((train - mean) / spread, labels)
        for sign, points in zip((1.0, -1.0), sets, strict=True):
            side = (points[fold == held] - mean) / spread @ weights[:-1] + weights[-1]
            wrong += int((side * sign <= 0).sum())
    return 2 * (1 - 2 * wrong / (2 * size))


def logistic_regression(points: Matrix, labels: Matrix, penalty: float = 1.0) -> Matrix:
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


def coral_distance(one: Matrix, other: Matrix) -> float:
    """The CORAL distance |C_1 - C_2|_F^2 / (4 d^2) (Sun and Saenko 2016, arXiv 1607.01719, eq. 1).

    It sees second moments only: two sets that differ by a shift alone have distance 0.

    Args:
        one: Embeddings, shape [texts, d], of at least two texts.
        other: Likewise, with another number of texts.
    """
    width = one.shape[1]
    difference = np.cov(one, rowvar=False).reshape(width, width) - np.cov(other, rowvar=False).reshape(width, width)
    return float((difference**2).sum() / (4 * width**2))


#: Permutations that are scored at a time: [texts, permutations] has to fit into memory.
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A test of two samples.

    Attributes:
        squared: The unbiased estimate of MMD^2; below zero where the sets are more alike than chance makes them.
        p: The share of random divisions of all texts into two sets that are at least as far apart.
    """

    squared: float
    p: float


def squared_distances(points: Matrix) -> Matrix:
    """Squared Euclidean distances between all rows, shape [rows, rows]."""
    norms = (points**2).sum(axis=1)
    found: Matrix = np.maximum(norms[:, None] + norms[None, :] - 2 * points @ points.T, 0.0)
    np.fill_diagonal(found, 0.0)
    return found


def rbf_kernel(points: Matrix) -> Matrix:
    """exp(-|x - y|^2 / (2 s^2)), s the median distance between two rows (Gretton et al. 2012, section 8)."""
    squares = squared_distances(points)
    above = squares[np.triu_indices(len(points), 1)]
    median = float(np.median(above))
    return np.exp(-squares / (2 * median)) if median > 0 else (squares == 0).astype(np.float64)


def unbiased_mmd(kernel: Matrix, members: Matrix) -> Matrix:
    """MMD^2 by the unbiased estimate (Gretton et al. 2012, JMLR 13, eq. 3) for several divisions at once.

    Args:
        kernel: Of all texts, shape [texts, texts].
        members: 1 for texts of the first set, 0 for those of the second, shape [texts, divisions]; every division
            has the same sizes, of two texts and more.

    Returns:
        One value a division, shape [divisions].
    """
    first = float(members[:, 0].sum())
    second = len(kernel) - first
    diagonal = np.diag(kernel)
    product = kernel @ members
    within = (members * product).sum(axis=0)
    across = product.sum(axis=0) - within
    rest = kernel.sum() - within - 2 * across
    own = diagonal @ members
    return np.asarray(
        (within - own) / (first * (first - 1))
        + (rest - (diagonal.sum() - own)) / (second * (second - 1))
        - 2 * across / (first * second)
    )


def squared_mmd(one: Matrix, other: Matrix) -> float:
    """MMD^2 between two sets of embeddings, each [texts, d], without a test."""
    return float(unbiased_mmd(*_joint(one, other))[0])


def mmd(one: Matrix, other: Matrix, permutations: int = 1000, seed: int = 0) -> Discrepancy:
    """MMD^2 between two sets of embeddings, with a permutation test.

    Args:
        one: Embeddings, shape [texts, d], of at least two texts, which are independent of each other.
        other: Likewise.
        permutations: Random divisions; p is at least 1 / (permutations + 1).
        seed: Of the divisions.
    """
    kernel, members = _joint(one, other)
    found = float(unbiased_mmd(kernel, members)[0])
    rng = np.random.default_rng([29, seed])
    at_least = 0
    for start in range(0, permutations, _AT_ONCE):
        count = min(_AT_ONCE, permutations - start)
        divisions = rng.permuted(np.repeat(members, count, axis=1), axis=0)
        at_least += int((unbiased_mmd(kernel, divisions) >= found - 1e-12).sum())
    return Discrepancy(found, (1 + at_least) / (1 + permutations))


def _joint(one: Matrix, other: Matrix) -> tuple[Matrix, Matrix]:
    """The kernel of all texts, and which of them are of the first set, [texts, 1]."""
    members = np.concatenate([np.ones(len(one)), np.zeros(len(other))])
    return rbf_kernel(np.concatenate([one, other])), members[:, None]


Counts = NDArray[np.float64]


def subword_counts(ids: Ragged, vocabulary: int, special: tuple[int, ...]) -> Counts:
    """How often each sub-word occurs, special tokens left out; shape [vocabulary]."""
    counts = np.bincount(np.asarray(ids.values, dtype=np.int64), minlength=vocabulary).astype(np.float64)
    counts[list(special)] = 0.0
    return counts


def jensen_shannon(one: Counts, other: Counts) -> float:
    """The Jensen-Shannon divergence of two unigram distributions in bits, 0 (equal) to 1 (nothing in common).

    The plug-in estimate of Lin 1991; small samples have few sub-words in common, which makes it larger.

    Args:
        one: Counts, shape [vocabulary], not all zero.
        other: Likewise.
    """
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    return float((_information(p, middle) + _information(q, middle)) / 2)


def _information(p: Counts, middle: Counts) -> float:
    """The Kullback-Leibler divergence from the mixture, in bits."""
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / middle[seen])).sum())
