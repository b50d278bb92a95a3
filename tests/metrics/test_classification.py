from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.metrics.classification import accuracy, f1_binary

LABELS = st.lists(st.integers(0, 2), min_size=1, max_size=20)


def test_accuracy_is_the_share_of_equal_labels() -> None:
    assert accuracy([1, 0, 2, 2], [1, 1, 2, 0]) == 0.5


def test_labels_may_be_names() -> None:
    assert accuracy(["yes", "no", "no"], ["yes", "no", "yes"]) == pytest.approx(2 / 3)


def test_f1_of_the_positive_label() -> None:
    # Found 1, 1, 0, 1; wanted 1, 0, 1, 1: precision 2/3, recall 2/3.
    assert f1_binary([1, 1, 0, 1], [1, 0, 1, 1]) == pytest.approx(2 / 3)


def test_f1_of_another_label() -> None:
    assert f1_binary(["a", "b", "b"], ["a", "a", "b"], positive="a") == pytest.approx(2 / 3)


def test_f1_is_zero_where_the_label_does_not_occur() -> None:
    assert f1_binary([0, 0], [0, 0]) == 0.0
    assert f1_binary([0, 0], [1, 1]) == 0.0


@pytest.mark.parametrize("metric", [accuracy, f1_binary])
def test_lists_that_do_not_pair_are_refused(metric: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="1 predictions for 2 gold items"):
        metric([1], [1, 0])
    with pytest.raises(ValueError, match="no items to score"):
        metric([], [])


@given(LABELS)
def test_range_and_gold_as_prediction(gold: list[int]) -> None:
    assert accuracy(gold, gold) == 1.0
    assert f1_binary(gold, gold) == float(1 in gold)
    shuffled = sorted(gold)
    assert 0.0 <= accuracy(shuffled, gold) <= 1.0
    assert 0.0 <= f1_binary(shuffled, gold) <= 1.0
