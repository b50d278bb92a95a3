"""H-score: how much of the spread of embeddings lies between classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


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
