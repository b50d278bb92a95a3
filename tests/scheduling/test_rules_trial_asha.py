from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.schedules.asha import TrialAsha

from .driving import SCORES


def test_a_trial_is_promoted_when_it_is_among_the_best_half_so_far() -> None:
    asha = TrialAsha((0.5,), 2)
    for trial in "abcd":
        asha.start(trial)
    assert asha.report("a", 0.5, 0.3) == []  # one of one: half of it is no place
    assert asha.report("b", 0.5, 0.1) == ["a"]
    assert asha.report("c", 0.5, 0.2) == []
    assert asha.report("d", 0.5, 0.25) == ["d"]
    assert asha.wanted() == {"a": 1.0, "d": 1.0}
    assert asha.stopped() == {}  # more trials may come
    assert asha.close() == []
    assert asha.stopped() == {"b": 0.5, "c": 0.5}


def test_when_no_more_come_the_places_are_rounded_up() -> None:
    asha = TrialAsha((0.25, 0.5), 4)
    for trial in "abc":
        asha.start(trial)
        assert asha.report(trial, 0.25, ord(trial)) == []
    assert asha.close() == ["c"]
    assert asha.stopped() == {"a": 0.25, "b": 0.25}
    assert asha.wanted() == {"c": 0.5}
    assert asha.report("c", 0.5, 0.1) == ["c"]
    assert asha.report("c", 1.0, 0.2) == []
    assert asha.wanted() == {}


def test_a_failed_trial_counts_as_the_last_and_is_never_promoted() -> None:
    asha = TrialAsha((0.5,), 2)
    for trial in "ab":
        asha.start(trial)
    asha.report("a", 0.5, None)
    assert asha.report("b", 0.5, 0.1) == ["b"]
    asha.close()
    assert asha.stopped() == {}


def test_what_was_not_awaited_is_refused() -> None:
    asha = TrialAsha((0.5,), 2)
    asha.start("a")
    with pytest.raises(ValueError, match="cannot start"):
        asha.start("a")
    with pytest.raises(ValueError, match="awaited"):
        asha.report("a", 1.0, 0.5)
    with pytest.raises(ValueError, match="awaited"):
        asha.report("b", 0.5, 0.5)
    asha.close()
    with pytest.raises(ValueError, match="closed"):
        asha.start("c")


@given(
    st.lists(st.lists(SCORES, min_size=3, max_size=3), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.sampled_from([2, 3, 2.5]),
)
def test_every_trial_ends(scores: list[list[float | None]], order: random.Random, factor: float) -> None:
    rungs = (0.25, 0.5)
    asha = TrialAsha(rungs, factor)
    waiting = list(range(len(scores)))
    ended: dict[str, float] = {}
    failed: set[str] = set()
    while waiting or asha.wanted():
        if waiting and order.random() < 0.5:
            asha.start(str(waiting.pop(0)))
            if not waiting:
                asha.close()
        elif wanted := asha.wanted():
            trial = order.choice(sorted(wanted))
            score = scores[int(trial)][(*rungs, 1.0).index(wanted[trial])]
            failed |= {trial} if score is None else set()
            if wanted[trial] == 1.0:
                ended[trial] = 1.0
            asha.report(trial, wanted[trial], score)
    trials = {str(number) for number in range(len(scores))}
    assert trials == ended.keys() | asha.stopped().keys() | failed
    assert not ended.keys() & asha.stopped().keys()
    assert ended or failed
