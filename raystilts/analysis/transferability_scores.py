"""What embeddings say of labels: LogME, the evidence of a linear model; the H-score, the spread between classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

#: Rounds of the fixed-point iteration, and the relative change of alpha / beta at which it ends.
ROUNDS, TOLERANCE = 200, 1e-5


def logme(embeddings: Matrix, labels: NDArray[np.int64]) -> float:
    """The logarithm of maximum evidence a text, mean over classes (You et al. 2021, ICML, arXiv 2102.11005).

    For each class, labels are 1 and 0 and a Bayesian linear regression w ~ N(0, 1/alpha), y ~ N(F w, 1/beta) has its
    evidence maximised over alpha and beta. Higher is better.

    The evidence is computed in full: released fixed-point code (You et al. 2022, JMLR) leaves out the directions of w
    that no text has where there are fewer texts than dimensions, -(D - N) / 2 ln(alpha), and is then far too high.

    Args:
        embeddings: Shape [texts, d].
        labels: Class of each text, shape [texts]; two classes or more.
    """
    left, singular, _ = np.linalg.svd(embeddings, full_matrices=False)
    classes = np.unique(labels)
    columns = [(labels == one).astype(np.float64) for one in classes]
    return float(np.mean([_evidence(left, singular**2, column, embeddings.shape[1]) for column in columns]))


def _evidence(left: Matrix, sigma: Vector, target: Vector, width: int) -> float:
    """The maximised log evidence of one column of labels, divided by the number of texts.

    Args:
        left: Left singular vectors, shape [texts, k].
        sigma: Squared singular values, shape [k].
    """
    count = len(target)
    coordinates = (left.T @ target) ** 2
    outside = float(target @ target - coordinates.sum())
    ratio, alpha, beta = 1.0, 1.0, 1.0
    for _ in range(ROUNDS):
        gamma = float((sigma / (sigma + ratio)).sum())
        weights = float((sigma * coordinates / (sigma + ratio) ** 2).sum())
        residual = float((coordinates / (1 + sigma / ratio) ** 2).sum()) + outside
        alpha = gamma / (weights + 1e-12)
        beta = (count - gamma) / (residual + 1e-12)
        change, ratio = abs(alpha / beta - ratio) / ratio, alpha / beta
        if change <= TOLERANCE:
            break
    weights = float((sigma * coordinates / (sigma + ratio) ** 2).sum())
    residual = float((coordinates / (1 + sigma / ratio) ** 2).sum()) + outside
    spread = float(np.log(alpha + beta * sigma).sum()) + (width - len(sigma)) * np.log(alpha)
    evidence = (
        width * np.log(alpha) + count * np.log(beta) - spread - beta * residual - alpha * weights
        - count * np.log(2 * np.pi)
    )  # fmt: skip
    return float(evidence / (2 * count))


def h_score(embeddings: Matrix, labels: NDArray[np.int64]) -> float:
    """tr(cov(f)^-1 cov(E[f | y])) (Bao et al. 2019, ICIP), with shrunk covariances (Ibrahim et al. 2022, ECML).

    With the Ledoit-Wolf covariance of the embeddings, and the covariance of the class means shrunk as much. Higher is
    better; without shrinkage it lies between 0 and the number of classes less one. For labels that are classes only.

    Args:
        embeddings: Shape [texts, d].
        labels: Class of each text, shape [texts].
    """
    centred = embeddings - embeddings.mean(axis=0)
    covariance, shrinkage = ledoit_wolf(centred)
    means = np.zeros_like(centred)
    for one in np.unique(labels):
        means[labels == one] = centred[labels == one].mean(axis=0)
    between = means.T @ means / len(means)
    return float((1 - shrinkage) * np.trace(np.linalg.solve(covariance, between)))


def ledoit_wolf(centred: Matrix) -> tuple[Matrix, float]:
    """The covariance shrunk towards a multiple of the identity (Ledoit and Wolf 2004, JMVA 88).

    Args:
        centred: Rows with mean 0, shape [rows, d].

    Returns:
        The covariance [d, d], and how much of it is the identity's, 0 to 1.
    """
    rows, width = centred.shape
    sample = centred.T @ centred / rows
    scale = float(np.trace(sample)) / width
    distance = float((sample**2).sum()) / width - scale**2
    norms = (centred**2).sum(axis=1)
    noise = (float((norms**2).sum()) / rows - float((sample**2).sum())) / (rows * width)
    shrinkage = min(1.0, max(0.0, noise / distance)) if distance > 0 else 0.0
    return (1 - shrinkage) * sample + shrinkage * scale * np.eye(width), shrinkage
