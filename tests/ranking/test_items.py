from __future__ import annotations

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.advice import decision_chance
from raystilts.ranking.items import SEEN, UNSEEN, binomial_noise, item_noise
from raystilts.ranking.posterior import rank_arms

NAN = float("nan")


def lucky(items: int = 400, arms: int = 4, seeds: int = 3, agree: float = 1.0, seed: int = 0) -> np.ndarray:
    """Right answers of equal arms (.7): each arm's own items, the same with every seed on a share `agree` of them."""
    rng = np.random.default_rng(seed)
    own = rng.random((arms, 1, items)) < 0.7
    fresh = rng.random((arms, seeds, items)) < 0.7
    return np.where(rng.random((arms, 1, items)) < agree, own, fresh).astype(float)


def test_luck_that_all_seeds_share_has_the_binomial_variance() -> None:
    found = item_noise(lucky(2000))
    assert found.variances == pytest.approx(np.full(4, 0.21 / 2000), rel=0.15)
    assert found.common == pytest.approx(0.0, abs=0.02 / 2000)
    assert found.items == 2000


def test_what_differs_between_seeds_is_not_counted_again() -> None:
    found = item_noise(lucky(4000, agree=0.0))
    assert found.variances.max() < 0.1 * 0.21 / 4000
    half = item_noise(lucky(4000, agree=0.5))
    assert half.variances.mean() == pytest.approx(0.5 * 0.21 / 4000, rel=0.25)


def test_items_that_are_hard_for_all_cancel() -> None:
    same = np.repeat(lucky(1000, arms=1), 4, axis=0)
    found = item_noise(same)
    assert found.variances == pytest.approx(np.zeros(4), abs=1e-12)
    assert found.common == pytest.approx(0.21 / 1000, rel=0.15)


def test_items_of_one_passage_count_once() -> None:
    once = lucky(300)
    fourfold = np.repeat(once, 4, axis=2)
    passages = np.repeat(np.arange(300), 4).tolist()
    assert item_noise(fourfold, passages).variances == pytest.approx(item_noise(once).variances)
    assert item_noise(fourfold, passages).items == 300
    assert item_noise(fourfold).variances.mean() < 0.3 * item_noise(once).variances.mean()


def test_missing_runs_and_arms() -> None:
    table = lucky(500)
    table[1] = NAN
    table[2, 1:] = NAN
    found = item_noise(table)
    assert np.isnan(found.variances[1])
    assert found.variances[[0, 2, 3]] == pytest.approx(np.full(3, 0.21 / 500), rel=0.4)
    scores = table.mean(axis=2)
    assert rank_arms(scores, items=found.variances).determined


def test_equal_arms_that_agree_by_luck_are_not_decided() -> None:
    decided, with_items = 0, 0
    for seed in range(40):
        right = lucky(500, agree=0.97, seed=seed)
        scores = right.mean(axis=2)
        decided += len(rank_arms(scores, stream=str(seed)).best_set) == 1
        with_items += len(rank_arms(scores, stream=str(seed), items=item_noise(right).variances).best_set) == 1
    assert decided >= 8  # a fifth and more of the targets, by the luck of the items
    assert with_items <= 2


def test_the_binomial_part() -> None:
    found = binomial_noise([0.7, 0.5, NAN], [500, 200, 10])
    assert found[:2] == pytest.approx(SEEN * np.array([0.21 / 500, 0.25 / 200]))
    assert np.isnan(found[2])
    alone = binomial_noise([0.7, 0.5], 500, [True, False])
    assert alone == pytest.approx([UNSEEN * 0.21 / 500, SEEN * 0.25 / 500])


def test_more_seeds_do_not_take_the_noise_of_items_away() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([0.5, 0.7, 0.72])[:, None] + 0.01 * rng.normal(size=(3, 3))
    arms = np.arange(3)
    alone = decision_chance(rank_arms(scores), arms, 30)
    among = decision_chance(rank_arms(scores, items=[4e-4] * 3), arms, 30)
    assert alone > 0.8
    assert among < 0.6 * alone


def test_bad_input() -> None:
    with pytest.raises(UserError, match=r"\[arms, seeds, items\]"):
        item_noise(np.zeros((2, 3)))
    table = lucky(10)
    table[0, 0, 0] = NAN
    with pytest.raises(UserError, match="lacks predictions of some items"):
        item_noise(table)
    with pytest.raises(UserError, match="one an item: 10"):
        item_noise(lucky(10), ["a"])
    with pytest.raises(UserError, match="one variance an arm"):
        rank_arms(np.zeros((3, 2)) + 0.1, items=[0.1])


def test_one_run_has_the_luck_that_seeds_would_show_and_an_arm_without_seeds_has_it_all() -> None:
    table = lucky(4000, agree=0.0)
    table[2, 1:] = NAN
    assert item_noise(table).variances[2] < 0.1 * 0.21 / 4000
    alone = item_noise(table, deterministic=[False, False, True, False]).variances
    assert alone[2] == pytest.approx(0.21 / 4000, rel=0.15)
    assert alone[[0, 1, 3]].max() < 0.1 * 0.21 / 4000
