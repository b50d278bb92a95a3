"""Maximum mean discrepancy: are two sets of embeddings from the same distribution?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

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
