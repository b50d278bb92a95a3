"""Fixed samples: which rows count where a study limits their number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fixed_sample(rows: int, limit: int | None) -> NDArray[np.int64]:
    """All rows, or always the same `limit` of them, in ascending order."""
    if limit is None or limit >= rows:
        return np.arange(rows, dtype=np.int64)
    return np.sort(np.random.default_rng([7, rows]).permutation(rows)[:limit]).astype(np.int64)
