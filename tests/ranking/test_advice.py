from __future__ import annotations

import numpy as np
import pytest

from raystilts.errors import UserError
from raystilts.ranking.advice import advise, decision_chance
from raystilts.ranking.posterior import rank_arms

PATTERN = np.array([[1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])


def stratum(*effects: float, scale: float = 1.0) -> np.ndarray:
    return np.array(effects)[:, None] + scale * PATTERN[: len(effects)]


def test_decided_needs_nothing() -> None:
    advice = advise(rank_arms(stratum(0.0, 1.0, 9.0, scale=0.1)))
    assert (advice.arms, advice.seeds, advice.probability) == ((), 0, 1.0)


def test_close_arms_need_more_seeds_than_distant_ones() -> None:
    near = advise(rank_arms(stratum(-9.0, 0.0, 0.7, -8.0)), max_seeds=8)
    far = advise(rank_arms(stratum(-9.0, 0.0, 1.8, -8.0)), max_seeds=8)
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


def test_one_seed_asks_for_a_second() -> None:
    advice = advise(rank_arms([[0.1], [0.4]]))
    assert (advice.arms, advice.seeds) == ((0, 1), None)
    assert advice.note.startswith("add at least one seed")


def test_bad_input() -> None:
    with pytest.raises(UserError, match="probability is 1"):
        advise(rank_arms(stratum(0.0, 1.0)), probability=1.0)
