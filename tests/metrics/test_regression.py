from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from raystilts.metrics.regression import pearson, pearson_spearman, spearman

#: Numbers as people score: steps of a tenth from 0 to 5.
SCORES = st.lists(st.integers(0, 50).map(lambda n: n / 10), min_size=2, max_size=30)
Metric = Callable[..., float]


def test_known_answers() -> None:
    # Means 2 and 3; products of the differences 2 + 0 + 2 of squares 2 and 8.
    assert pearson([1, 2, 3], [1, 3, 5]) == 1.0
    # One pair of ranks is exchanged: 1 - 6 * 2 / (4 * 15).
    assert spearman([10, 20, 40, 30], [1, 2, 3, 4]) == pytest.approx(0.8)
    # Differences -1.5 -.5 .5 1.5 and -1.5 -.5 1.5 .5: 4 / 5.
    assert pearson([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(0.8)
    # Equal numbers share their ranks: 1.5, 1.5, 3 and 1, 2, 3, so sqrt(3) / 2.
    assert spearman([0, 0, 7], [1, 2, 3]) == pytest.approx(3**0.5 / 2)


@pytest.mark.parametrize("metric", [pearson, spearman, pearson_spearman])
def test_what_is_no_use_counts_as_nothing(metric: Metric) -> None:
    assert metric([3, 2, 1], [1, 2, 3]) == 0.0
    assert metric([2.5, 2.5, 2.5], [1, 2, 3]) == 0.0
    assert metric([1, 2, 3], [4, 4, 4]) == 0.0


@pytest.mark.parametrize("metric", [pearson, spearman, pearson_spearman])
def test_lists_that_do_not_pair_are_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="1 predictions for 2 gold items"):
        metric([1], [1, 0])
    with pytest.raises(ValueError, match="no items to score"):
        metric([], [])


@given(SCORES)
def test_as_scipy_has_it_above_zero(gold: list[float]) -> None:
    found = list(np.random.default_rng(len(gold)).normal(gold, 1.0))
    if len(set(gold)) > 1:
        assert pearson(found, gold) == pytest.approx(max(0.0, pearsonr(found, gold).statistic), abs=1e-12)
        assert spearman(found, gold) == pytest.approx(max(0.0, spearmanr(found, gold).statistic), abs=1e-12)
        assert pearson(gold, gold) == spearman(gold, gold) == pearson_spearman(gold, gold) == 1.0
