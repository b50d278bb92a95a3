from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from raystilts.analysis.transferability import ndcg, random_regret_at, regret_at

OUTCOME = [0.5, 0.8, 0.6, 0.4]


def test_regret_of_the_first_k() -> None:
    predicted = [3.0, 1.0, 2.0, 0.0]  # the order 0, 2, 1, 3
    assert regret_at(predicted, OUTCOME, 1) == pytest.approx(0.3 / 0.8)
    assert regret_at(predicted, OUTCOME, 2) == pytest.approx(0.2 / 0.8)
    assert regret_at(predicted, OUTCOME, 3) == 0
    assert regret_at([0.0] * 4, [0.0] * 4, 1) == 0


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_regret_of_chance_is_the_mean_over_all_picks(k: int) -> None:
    picks = [max(OUTCOME[i] for i in pick) for pick in combinations(range(4), k)]
    assert random_regret_at(OUTCOME, k) == pytest.approx((0.8 - np.mean(picks)) / 0.8)


def test_ndcg_of_the_best_order_the_worst_and_a_known_one() -> None:
    assert ndcg(OUTCOME, OUTCOME) == 1
    assert ndcg([1.0, 0.0], [0.2, 0.9]) == pytest.approx(1 / np.log2(3))
    assert ndcg([-value for value in OUTCOME], OUTCOME) < 0.8
    assert ndcg([1.0, 2.0], [0.5, 0.5]) == 1
