from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.schedules.asha import AshaRule
from raystilts.schedules.base import BASELINE, Run

from .driving import Score, drive, runs_of, tables


def by_arm(**scores: float) -> Score:
    """The same score for all seeds of an arm, at any share."""
    return lambda run, share: scores[run.arm]


def wanted_arms(rule: AshaRule, share: float) -> set[str]:
    return {run.arm for run, until in rule.wanted().items() if until == share}


def report_all(rule: AshaRule, arm: str, share: float, *scores: float | None) -> int:
    """Reports the arm's seeds in order; returns the number of verdicts."""
    return sum(len(rule.report(Run(arm, seed), share, score)) for seed, score in enumerate(scores))


def test_half_of_the_arms_go_on() -> None:
    rule = AshaRule(runs_of(4, 2), (0.5,), 2)
    assert set(rule.wanted().values()) == {0.5, 1.0}
    assert wanted_arms(rule, 1.0) == {"none"}
    verdicts, reached = drive(rule, by_arm(none=0.1, a=0.4, b=0.2, c=0.3, d=0.1), random.Random(0))
    (verdict,) = verdicts
    assert (verdict.rule, verdict.round, verdict.share) == ("asha", 1, 0.5)
    assert (verdict.kept, verdict.dropped) == (("a", "c"), ("b", "d"))
    assert verdict.scores == {"a": 0.4, "b": 0.2, "c": 0.3, "d": 0.1}
    assert rule.stopped() == {Run(arm, seed): 0.5 for arm in "bd" for seed in (0, 1)}
    assert {run.arm for run, share in reached.items() if share == 1.0} == {"none", "a", "c"}


def test_three_rungs_by_hand() -> None:
    """Nine arms, rungs at 1/9 and 1/3, factor 3: nine, three, one."""
    rule = AshaRule(runs_of(9, 1), (1 / 9, 1 / 3), 3)
    scores = {"none": 0.0} | {arm: number / 10 for number, arm in enumerate("abcdefghi")}
    verdicts, _ = drive(rule, by_arm(**scores), random.Random(1))
    assert [(v.round, v.kept) for v in verdicts] == [(1, ("i", "h", "g")), (2, ("i",))]
    assert verdicts[1].dropped == ("h", "g")
    assert {run.arm: share for run, share in rule.stopped().items()} == (
        dict.fromkeys("abcdef", 1 / 9) | dict.fromkeys("gh", 1 / 3)
    )


@pytest.mark.parametrize(
    ("arms", "factor", "kept"), [(1, 2, 1), (2, 2, 1), (5, 2, 3), (6, 3, 2), (7, 3, 3), (6, 2.5, 3), (5, 1.1, 5)]
)
def test_the_number_kept_is_rounded_up(arms: int, factor: float, kept: int) -> None:
    rule = AshaRule(runs_of(arms, 1), (0.5,), factor)
    _, reached = drive(rule, lambda run, share: float(ord(run.arm[0])), random.Random(0))
    assert sum(share == 1.0 for run, share in reached.items() if run.arm != BASELINE) == kept


def test_a_fate_that_is_certain_is_not_waited_for() -> None:
    rule = AshaRule(runs_of(4, 2), (0.5,), 2)
    assert report_all(rule, "a", 0.5, 0.2, 0.2) == 0
    assert report_all(rule, "b", 0.5, 0.4, 0.4) == 0
    assert wanted_arms(rule, 1.0) == {"none"}  # one is surely worse than b, two are needed
    assert rule.report(Run("c", 0), 0.5, 0.9) == []
    assert wanted_arms(rule, 1.0) == {"none"}  # c's other seed may still fail it
    assert report_all(rule, "c", 0.5, 0.9, 0.9) == 0
    assert wanted_arms(rule, 1.0) == {"none", "c"}
    assert rule.stopped() == {Run("a", 0): 0.5, Run("a", 1): 0.5}
    assert wanted_arms(rule, 0.5) == {"d"}
    assert report_all(rule, "d", 0.5, 0.3, 0.3) == 1
    assert wanted_arms(rule, 1.0) == {"none", "b", "c"}


def test_failed_seeds_are_left_out_of_the_mean_and_failed_arms_are_last() -> None:
    rule = AshaRule(runs_of(4, 2), (0.5,), 2)
    assert report_all(rule, "a", 0.5, None, math.nan) == 0
    assert report_all(rule, "b", 0.5, 0.9, None) == 0
    assert report_all(rule, "c", 0.5, 0.5, 0.5) == 0
    (verdict,) = [v for seed in (0, 1) for v in rule.report(Run("d", seed), 0.5, 0.6)]
    assert (verdict.kept, verdict.dropped) == (("b", "d"), ("c", "a"))
    assert verdict.scores["b"] == 0.9
    assert math.isnan(verdict.scores["a"])
    assert rule.stopped() == {Run("c", 0): 0.5, Run("c", 1): 0.5}
    assert rule.wanted().keys() == {Run("none", 0), Run("none", 1), Run("b", 0), Run("d", 0), Run("d", 1)}


def test_failed_arms_stand_in_the_order_of_their_names() -> None:
    for order in ("abc", "cba", "bca"):
        rule = AshaRule([Run(arm, 0) for arm in order], (0.5,), 2)
        verdicts = [v for arm in order for v in rule.report(Run(arm, 0), 0.5, None)]
        assert [v.dropped for v in verdicts] == [("a", "b", "c")]


def test_an_arm_that_failed_altogether_takes_no_place() -> None:
    rule = AshaRule(runs_of(2, 1), (0.5,), 2)
    rule.report(Run("a", 0), 0.5, None)
    rule.report(Run("b", 0), 0.5, None)
    assert wanted_arms(rule, 1.0) == {"none"}
    assert rule.stopped() == {}


def test_equal_means_are_ordered_by_name() -> None:
    for order in ("ab", "ba"):
        rule = AshaRule([Run(arm, 0) for arm in order], (0.5,), 2)
        for arm in order:
            rule.report(Run(arm, 0), 0.5, 0.5)
        assert rule.stopped() == {Run("b", 0): 0.5}


def test_a_failure_after_the_rung_does_not_change_its_decision() -> None:
    rule = AshaRule(runs_of(2, 1), (0.5,), 2)
    rule.report(Run("a", 0), 0.5, 0.9)
    rule.report(Run("b", 0), 0.5, 0.1)
    rule.report(Run("a", 0), 1.0, None)
    assert rule.stopped() == {Run("b", 0): 0.5}
    assert rule.wanted() == {Run("none", 0): 1.0}


def test_a_stopped_run_that_is_finished_later_is_stopped_no_more() -> None:
    rule = AshaRule(runs_of(2, 1), (0.5,), 2)
    rule.report(Run("a", 0), 0.5, 0.9)
    rule.report(Run("b", 0), 0.5, 0.1)
    assert rule.report(Run("b", 0), 1.0, 0.99) == []
    assert rule.stopped() == {}
    assert wanted_arms(rule, 1.0) == {"none", "a"}


def test_runs_that_were_trained_before_without_rungs_pass_them_and_take_no_place() -> None:
    rule = AshaRule(runs_of(3, 1), (0.25, 0.5), 2)
    assert rule.report(Run("a", 0), 1.0, 0.1) == []
    rule.report(Run("b", 0), 0.25, 0.2)
    (verdict,) = rule.report(Run("c", 0), 0.25, 0.3)
    assert (verdict.kept, verdict.dropped) == (("c", "a"), ("b",))
    assert verdict.scores == {"b": 0.2, "c": 0.3}
    assert rule.wanted() == {Run("none", 0): 1.0, Run("c", 0): 1.0}


def test_a_repeated_report_is_ignored() -> None:
    rule = AshaRule(runs_of(2, 1), (0.5,), 2)
    rule.report(Run("a", 0), 0.5, 0.9)
    rule.report(Run("a", 0), 0.5, 0.0)
    (verdict,) = rule.report(Run("b", 0), 0.5 + 1e-9, 0.1)
    assert verdict.kept == ("a",)
    assert rule.report(Run("b", 0), 0.5, 1.0) == []


@pytest.mark.parametrize(("run", "share"), [(Run("x", 0), 0.5), (Run("a", 9), 0.5), (Run("a", 0), 0.4)])
def test_what_was_not_asked_for_is_refused(run: Run, share: float) -> None:
    with pytest.raises(ValueError, match=r"not of this stratum|was not asked for"):
        AshaRule(runs_of(2, 1), (0.5,), 2).report(run, share, 0.5)


def halving(
    arms: Iterable[str], seeds: int, rungs: tuple[float, ...], factor: float, score: Score
) -> list[tuple[str, ...]]:
    """Synchronous successive halving, written down directly: the arms kept at each rung."""
    kept, entered = [], sorted(arms)
    for rung in rungs:
        values = {arm: [v for s in range(seeds) if (v := score(Run(arm, s), rung)) is not None] for arm in entered}
        alive = [arm for arm in entered if values[arm]]
        ranked = sorted(alive, key=lambda arm: (-math.fsum(values[arm]) / len(values[arm]), arm))
        places = math.ceil(len(entered) / factor)
        entered = ranked[:places] if places < len(entered) else alive
        kept.append(tuple(sorted(entered)))
    return kept


@given(st.data(), st.integers(1, 8), st.integers(1, 3), st.sampled_from([(0.5,), (0.25, 0.5), (0.1, 0.3, 0.9)]))
def test_the_order_of_arrival_decides_nothing(
    data: st.DataObject, arms: int, seeds: int, rungs: tuple[float, ...]
) -> None:
    runs = runs_of(arms, seeds)
    factor = data.draw(st.sampled_from([2, 3, 1.5]))
    score = data.draw(tables(runs, (*rungs, 1.0)))
    outcomes = []
    for order in data.draw(st.lists(st.randoms(use_true_random=False), min_size=2, max_size=3)):
        rule = AshaRule(order.sample(runs, len(runs)), rungs, factor)
        verdicts, reached = drive(rule, score, order)
        assert [v.round for v in verdicts] == sorted(v.round for v in verdicts)
        ended = {run for run, share in reached.items() if share == 1.0 and score(run, 1.0) is not None}
        outcomes.append((verdicts, rule.stopped(), ended))
    assert all(repr(outcome[0]) == repr(outcomes[0][0]) for outcome in outcomes)  # NaN is equal in repr only
    assert all(outcome[1:] == outcomes[0][1:] for outcome in outcomes)
    expected = halving("abcdefghijkl"[:arms], seeds, rungs, factor, score)
    finished = {run.arm for run in outcomes[0][2]}
    assert finished - {BASELINE} == {
        arm for arm in expected[-1] if any(score(Run(arm, seed), 1.0) is not None for seed in range(seeds))
    }
    for verdict in outcomes[0][0]:
        assert tuple(sorted(verdict.kept)) == expected[verdict.round - 1]


@given(st.data(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_reports_read_back_after_a_restart_give_the_same_state(
    data: st.DataObject, arms: int, order: random.Random
) -> None:
    runs, rungs = runs_of(arms, 2), (0.25, 0.5)
    score = data.draw(tables(runs, (*rungs, 1.0)))
    rule = AshaRule(runs, rungs, 2)
    reports: list[tuple[Run, float]] = []
    for _ in range(data.draw(st.integers(0, 3 * len(runs)))):
        if wanted := rule.wanted():
            run = order.choice(sorted(wanted))
            reports.append((run, wanted[run]))
            rule.report(run, wanted[run], score(run, wanted[run]))
    again = AshaRule(runs, rungs, 2)
    for run, share in sorted(reports):
        again.report(run, share, score(run, share))
    assert again.wanted() == rule.wanted()
    assert again.stopped() == rule.stopped()
