"""How far apart the covariances of two sets of embeddings are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


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
