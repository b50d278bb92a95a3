from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.advice import advise, decision_chance, leader_certainty
from raystilts.ranking.posterior import rank_arms

PATTERN = np.array([[1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])


def stratum(*effects: float, scale: float = 1.0) -> np.ndarray:
    return np.array(effects)[:, None] + scale * PATTERN[: len(effects)]


def test_decided_needs_nothing() -> None:
    advice = advise(rank_arms(stratum(0.0, 1.0, 9.0, scale=0.1)))
    assert (advice.arms, advice.seeds, advice.probability) == ((), 0, 1.0)


def test_close_arms_need_more_seeds_than_distant_ones() -> None:
    near = advise(rank_arms(stratum(-9.0, 0.0, 0.7, -8.0)), max_seeds=24)
    far = advise(rank_arms(stratum(-9.0, 0.0, 1.6, -8.0)), max_seeds=24)
    assert far.seeds is not None
    assert far.seeds >= 1
    assert near.seeds is None or near.seeds > far.seeds
    assert far.arms == (0, 1, 2)  # the set and none
    assert far.probability is not None
    assert far.probability >= 0.8
    assert "more seeds of 3 arms" in far.note


def test_a_tie_is_not_decided_unless_a_tolerance_is_given() -> None:
    answer = rank_arms(stratum(-9.0, 0.0, 0.0, scale=0.5))
    assert advise(answer, max_seeds=4).seeds is None
    tolerant = advise(answer, max_seeds=32, tolerance=1.0)
    assert tolerant.seeds is not None


def test_more_seeds_decide_more_often_and_always_the_same() -> None:
    answer = rank_arms(stratum(-9.0, 0.0, 1.0))
    arms = np.array([0, 1, 2])
    chances = [decision_chance(answer, arms, seeds) for seeds in (1, 8, 32)]
    assert chances == [decision_chance(answer, arms, seeds) for seeds in (1, 8, 32)]
    assert chances[0] < chances[1] < chances[2]


def test_the_chance_is_that_of_really_adding_runs() -> None:
    # effects and noise from the posterior, further runs drawn around them, the whole ranked again
    rng = np.random.default_rng(0)
    said, true = [], []
    for gap in (0.4, 1.0, 1.6):
        scores = stratum(-3.0, 0.0, gap, -1.0)
        answer = rank_arms(scores)
        arms = np.array([0, 1, 2])
        for seeds in (2, 6):
            decided = 0
            for world in range(60):
                draw = rng.integers(answer.draws.shape[1])
                sigma = answer.noise[arms, draw, None] ** 0.5
                fresh = np.full((4, seeds), np.nan)
                fresh[arms] = answer.draws[arms, draw, None] + sigma * rng.normal(size=(3, seeds))
                later = rank_arms(np.hstack([scores, fresh]), stream=str(world), draws=500)
                assert later.leader is not None
                decided += bool(later.p_best[later.leader] >= 0.95)
            said.append(decision_chance(answer, arms, seeds))
            true.append(decided / 60)
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.06)
    assert np.array(said) == pytest.approx(np.array(true), abs=0.2)


def test_leader_certainty_of_normal_scores() -> None:
    means = np.array([[0.0, 0.0], [1.0, 1.0], [0.5, -9.0]])
    variances = np.array([[0.5], [0.25], [1.0]])
    draws = means[:, 0] + np.sqrt(variances[:, 0]) * np.random.default_rng(1).normal(size=(200_000, 3))
    expected = float((draws.argmax(axis=1) == 1).mean())
    found = leader_certainty(means, variances, 0.0)
    assert found[0] == pytest.approx(expected, abs=0.01)
    assert found[1] == pytest.approx(NormalDist().cdf(1.0 / 0.75**0.5), abs=1e-3)
    assert leader_certainty(means, variances, 50.0) == pytest.approx([1.0, 1.0])


def test_one_seed_asks_for_a_second() -> None:
    advice = advise(rank_arms([[0.1], [0.4]]))
    assert (advice.arms, advice.seeds) == ((0, 1), None)
    assert advice.note.startswith("add at least one seed")


def test_bad_input() -> None:
    with pytest.raises(UserError, match="probability is 1"):
        advise(rank_arms(stratum(0.0, 1.0)), probability=1.0)
