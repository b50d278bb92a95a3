from __future__ import annotations

import numpy as np
import pytest

from raystilts.analysis.domain_distances import jensen_shannon, subword_counts
from raystilts.tasks.encoding import Ragged


def test_equal_disjoint_and_a_known_pair() -> None:
    assert jensen_shannon(np.array([1.0, 3.0]), np.array([10.0, 30.0])) == 0
    assert jensen_shannon(np.array([2.0, 0.0, 1.0]), np.array([0.0, 5.0, 0.0])) == 1
    # p = (1, 0), q = (1/2, 1/2): m = (3/4, 1/4).
    expected = (np.log2(4 / 3) + 0.5 * np.log2(2 / 3) + 0.5 * np.log2(2)) / 2
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(expected)


def test_special_tokens_do_not_count() -> None:
    ids = Ragged.from_rows([[0, 3, 3, 2], [0, 4, 2]], np.int32)
    assert subword_counts(ids, 6, (0, 2)).tolist() == [0, 0, 0, 2, 1, 0]
