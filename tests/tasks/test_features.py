from __future__ import annotations

import numpy as np

from raystilts.tasks.encoding import Ragged


def test_ragged_joins_rows_of_any_length() -> None:
    ragged = Ragged.from_rows([[1, 2], [], [3]], np.int32)
    assert ragged.values.tolist() == [1, 2, 3]
    assert ragged.offsets.tolist() == [0, 2, 2, 3]
    assert ragged.lengths.tolist() == [2, 0, 1]
    assert [row.tolist() for row in ragged] == [[1, 2], [], [3]]


def test_take_copies_rows_in_the_given_order() -> None:
    ragged = Ragged.from_rows([[1, 2], [], [3]], np.int32)
    assert [row.tolist() for row in ragged.take(np.array([2, 0, 0, 1]))] == [[3], [1, 2], [1, 2], []]


def test_no_rows() -> None:
    ragged = Ragged.from_rows([], np.int32)
    assert len(ragged) == 0
    assert len(ragged.take(np.zeros(0, dtype=np.int64))) == 0
