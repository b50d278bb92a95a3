from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raystilts.schedules.base import BASELINE, FullRule, Run, Verdict
from raystilts.schedules.race import RaceRule

from .driving import Score, drive, runs_of, tables


def from_table(table: dict[str, list[float | None]]) -> Score:
    return lambda run, share: table[run.arm][run.seed or 0]


def race(table: dict[str, list[float | None]], confidence: float = 0.9, **settings: int) -> list[Verdict]:
    runs = [Run(arm, seed) for arm, scores in table.items() for seed in range(len(scores))]
    rule = RaceRule(runs, settings.get("min_seeds", 2), settings.get("max_seeds"), confidence)
    return drive(rule, from_table(table), random.Random(0))[0]


def test_the_bound_is_that_of_the_pooled_t() -> None:
    """One round worked out by hand: three arms and none with two seeds each, s from 3 degrees of freedom."""
    table: dict[str, list[float | None]] = {
        "none": [0.0, 0.2], "a": [1.0, 1.4], "b": [0.9, 0.7], "c": [0.4, 0.6],
    }  # fmt: skip
    values = np.array(list(table.values()), dtype=float)
    residual = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    s = math.sqrt((residual**2).sum() / 3)
    for confidence in (0.6, 0.9, 0.99):
        margin = stats.t.ppf(confidence, 3) * s * math.sqrt(1 / 2 + 1 / 2)
        (first, *_) = race(table, confidence, max_seeds=2)
        assert first.kept == tuple(arm for arm in "abc" if 1.2 - values.mean(1)["abc".index(arm) + 1] <= margin)
        assert first.kept + first.dropped == ("a", "b", "c")
        assert first.scores == pytest.approx({"none": 0.1, "a": 1.2, "b": 0.8, "c": 0.5})
        assert (first.rule, first.round, first.share) == ("race", 1, 1.0)


def test_survivors_and_the_baseline_get_one_more_seed_a_round() -> None:
    rule = RaceRule(runs_of(3, 4), 2, None, 0.9)
    first = rule.wanted()
    assert first == {Run(arm, seed): 1.0 for arm in ("none", "a", "b", "c") for seed in (0, 1)}
    scores = {"none": (0.0, 0.1), "a": (5.0, 5.2), "b": (5.1, 5.0), "c": (1.0, 1.1)}
    verdicts = [v for run in first for v in rule.report(run, 1.0, scores[run.arm][run.seed or 0])]
    assert [(v.kept, v.dropped) for v in verdicts] == [(("a", "b"), ("c",))]
    assert rule.wanted() == {Run(arm, 2): 1.0 for arm in ("none", "a", "b")}
    assert rule.stopped() == {}


def test_nothing_is_decided_before_the_round_is_over() -> None:
    rule = RaceRule(runs_of(2, 3), 2, None, 0.9)
    for run in list(rule.wanted())[1:]:
        assert rule.report(run, 1.0, {"none": 0.0, "a": 9.0, "b": 1.0}[run.arm] + (run.seed or 0) * 0.01) == []
    assert rule.wanted() == {Run("none", 0): 1.0}
    (verdict,) = rule.report(Run("none", 0), 1.0, None)
    assert verdict.kept == ("a",)
    assert rule.wanted() == {}


def test_it_ends_at_one_survivor_or_at_the_last_seed() -> None:
    far: dict[str, list[float | None]] = {"none": [0.0] * 5, "a": [9.0, 9.1, 9, 9, 9], "b": [1.0, 1.2, 1, 1, 1]}
    assert [v.kept for v in race(far)] == [("a",)]
    equal: dict[str, list[float | None]] = {"none": [0.0] * 5, "a": [9, 1, 9, 1, 9], "b": [1, 9, 1, 9, 1]}
    assert [v.round for v in race(equal)] == [1, 2, 3, 4]
    assert [v.round for v in race(equal, max_seeds=3)] == [1, 2]
    assert len(race(equal, min_seeds=4)) == 2


def test_the_baseline_is_never_dropped_and_may_beat_every_arm() -> None:
    table: dict[str, list[float | None]] = {"none": [9.0, 9.1, 9.0], "a": [1.0, 1.1, 1.0], "b": [1.2, 1.1, 1.0]}
    (verdict,) = race(table)
    assert (verdict.kept, verdict.dropped) == ((), ("b", "a"))
    assert "none" not in verdict.kept + verdict.dropped


def test_failures_are_left_out_of_the_mean_and_an_arm_of_failures_is_dropped() -> None:
    table: dict[str, list[float | None]] = {
        "none": [0.0, 0.1, 0.2], "a": [None, None, 9.0], "b": [None, 5.1, 5.0], "c": [5.1, 5.0, 5.2], "d": [0.1, 0.3, 0]
    }  # fmt: skip
    first, second = race(table)
    assert first.kept == ("b", "c")
    assert first.dropped == ("d", "a")
    assert math.isnan(first.scores["a"])
    assert set(second.scores) == {"none", "b", "c"}


def test_a_seed_that_is_good_for_all_does_not_favour_the_arm_that_failed_in_the_other() -> None:
    """Seed 1 gives ten points to everyone; b has only that one, and is no better than a."""
    table: dict[str, list[float | None]] = {
        "none": [0.0, 10.0], "a": [3.0, 13.1], "b": [None, 13.0], "c": [1.0, 11.1]
    }  # fmt: skip
    (verdict,) = race(table)
    assert verdict.kept[0] == "a"
    assert verdict.scores["b"] == pytest.approx(8.0, abs=0.1)


def test_without_a_baseline_the_arms_race_alone() -> None:
    (verdict,) = race({"a": [9.0, 9.1, 9.0], "b": [1.0, 1.2, 1.0]})
    assert verdict.kept == ("a",)
    assert set(verdict.scores) == {"a", "b"}


def test_a_stratum_of_the_baseline_alone_runs_it_to_the_end() -> None:
    rule = RaceRule([Run("none", 0), Run("none", 1), Run("none", 2)], 2, None, 0.9)
    assert len(rule.wanted()) == 3
    assert drive(rule, lambda run, share: 0.5, random.Random(0))[0] == []


def test_a_baseline_without_a_seed_runs_once_and_is_exact() -> None:
    runs = [Run("none", None), *(Run(arm, seed) for arm in "abc" for seed in range(3))]
    table = {"a": [0.50, 0.52, 0.51], "b": [0.50, 0.49, 0.51], "c": [0.10, 0.13, 0.1]}
    rule = RaceRule(runs, 2, None, 0.9)
    verdicts, reached = drive(
        rule, lambda run, _: 0.2 if run.seed is None else table[run.arm][run.seed], random.Random()
    )
    assert verdicts[0].dropped == ("c",)
    assert verdicts[0].scores["none"] == 0.2
    assert [run for run in reached if run.arm == BASELINE] == [Run("none", None)]
    assert len(verdicts) == 2


def test_a_baseline_with_seeds_of_its_own() -> None:
    runs = [*(Run("none", seed) for seed in (7, 8, 9)), *(Run(arm, seed) for arm in "ab" for seed in range(3))]
    table = {"none": 0.2, "a": 0.6, "b": 0.3}
    rule = RaceRule(runs, 2, None, 0.9)
    noise = {(run, 1.0): np.random.default_rng(0).normal(0, 0.01) for run in runs}
    verdicts, reached = drive(rule, lambda run, share: table[run.arm] + noise[run, share], random.Random(0))
    assert verdicts[-1].kept == ("a",)
    assert {run.seed for run in reached if run.arm == BASELINE} == {7, 8}


def test_without_a_variance_nothing_is_dropped() -> None:
    """Each arm has lost a run, and no two share a seed: there is nothing to tell noise from."""
    table: dict[str, list[float | None]] = {"a": [9.0, None], "b": [None, 1.0]}
    (verdict,) = race(table)
    assert verdict.kept == ("a", "b")


def test_failures_on_the_way_count_repeats_are_ignored_and_strangers_refused() -> None:
    rule = RaceRule(runs_of(1, 2), 2, None, 0.9)
    rule.report(Run("a", 0), 1.0, 0.5)
    assert rule.report(Run("a", 0), 1.0, 0.9) == []
    assert Run("a", 0) not in rule.wanted()
    rule.report(Run("a", 1), 0.3, None)  # failed on the way
    assert Run("a", 1) not in rule.wanted()
    with pytest.raises(ValueError, match="not of this stratum"):
        rule.report(Run("x", 0), 1.0, 0.5)
    with pytest.raises(ValueError, match="was not asked for"):
        rule.report(Run("none", 0), 0.5, 0.5)


@given(st.data(), st.integers(1, 6), st.integers(2, 5), st.integers(2, 5))
def test_the_order_of_arrival_decides_nothing(data: st.DataObject, arms: int, seeds: int, max_seeds: int) -> None:
    runs = runs_of(arms, seeds)
    score = data.draw(tables(runs, (1.0,)))
    outcomes = []
    for order in data.draw(st.lists(st.randoms(use_true_random=False), min_size=2, max_size=3)):
        verdicts, reached = drive(RaceRule(runs, 2, max_seeds, 0.9), score, order)
        outcomes.append((repr(verdicts), reached))
        counts = [len(v.kept) for v in verdicts]
        assert counts == sorted(counts, reverse=True)
        assert all(share == 1.0 for share in reached.values())
        assert max((run.seed or 0) for run in reached) < max(2, max_seeds)
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(st.integers(1, 4), st.integers(1, 3))
def test_the_full_rule_wants_every_run_once(arms: int, seeds: int) -> None:
    rule = FullRule(runs_of(arms, seeds))
    verdicts, reached = drive(rule, lambda run, share: None if run.seed else 0.5, random.Random(0))
    assert verdicts == []
    assert reached == dict.fromkeys(runs_of(arms, seeds), 1.0)
    assert rule.stopped() == {}


@given(st.data(), st.integers(1, 5), st.integers(2, 4), st.randoms(use_true_random=False))
def test_scores_read_back_after_a_restart_give_the_same_state(
    data: st.DataObject, arms: int, seeds: int, order: random.Random
) -> None:
    runs = runs_of(arms, seeds)
    score = data.draw(tables(runs, (1.0,)))
    rule, verdicts, reported = RaceRule(runs, 2, None, 0.9), [], []
    for _ in range(data.draw(st.integers(0, len(runs)))):
        if wanted := rule.wanted():
            reported.append(order.choice(sorted(wanted)))
            verdicts += rule.report(reported[-1], 1.0, score(reported[-1], 1.0))
    again = RaceRule(runs, 2, None, 0.9)
    found = [verdict for run in sorted(reported) for verdict in again.report(run, 1.0, score(run, 1.0))]
    assert again.wanted() == rule.wanted()
    assert repr(found) == repr(verdicts)
