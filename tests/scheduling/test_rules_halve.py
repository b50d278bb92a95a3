from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.schedules import stratum_rule
from raystilts.schedules.base import BASELINE, Run, Verdict
from raystilts.schedules.halve import Halve, HalveRule, Places

from .driving import Score, drive, runs_of, tables

Table = dict[str, list[float | None]]
KEEP: tuple[Places, ...] = ("all", 2, 1)


def halve(table: Table, keep: tuple[Places, ...] = KEEP, seed: int = 0) -> tuple[list[Verdict], dict[Run, float]]:
    runs = [Run(arm, number) for arm, scores in table.items() for number in range(len(scores))]
    return drive(HalveRule(runs, keep), lambda run, _: table[run.arm][run.seed or 0], random.Random(seed))


def trained(reached: dict[Run, float]) -> dict[str, list[int | None]]:
    """The seeds of each arm that came to the end."""
    found: dict[str, list[int | None]] = {}
    for run in sorted(run for run, share in reached.items() if share == 1.0):
        found.setdefault(run.arm, []).append(run.seed)
    return found


def test_a_seed_a_round_for_fewer_and_fewer_arms() -> None:
    table: Table = {
        "none": [0.0, 0.0, 0.0], "a": [0.5, 0.1, 0.9], "b": [0.4, 0.4, 0.4], "c": [0.3, 0.9, 0.9], "d": [0.2, 0.9, 0.9]
    }  # fmt: skip
    verdicts, reached = halve(table)
    first = Verdict("halve", 1, 1.0, ("a", "b"), ("c", "d"), {"a": 0.5, "b": 0.4, "c": 0.3, "d": 0.2})
    second = Verdict("halve", 2, 1.0, ("b",), ("a",), {"a": 0.3, "b": 0.4})  # by both seeds: a was lucky in the first
    assert verdicts == [first, second]
    assert trained(reached) == {"none": [0, 1, 2], "a": [0, 1], "b": [0, 1, 2], "c": [0], "d": [0]}


def test_the_measured_default_takes_28_of_84_runs() -> None:
    table: Table = {f"{number:02d}": [number / 100] * 4 for number in range(21)}
    runs = [Run(arm, seed) for arm in table for seed in range(4)]
    rule = stratum_rule(Halve(), runs)
    verdicts, reached = drive(rule, lambda run, _: table[run.arm][0], random.Random(0))
    assert len(reached) == 21 + 4 + 3
    assert [verdict.kept for verdict in verdicts] == [("20", "19", "18", "17"), ("20", "19", "18")]


def test_shares_of_the_arms_are_rounded_up() -> None:
    table: Table = {arm: [float(-place)] * 3 for place, arm in enumerate("abcdefg")}
    verdicts, _ = halve(table, ("all", 0.5, 0.2))
    assert [verdict.kept for verdict in verdicts] == [("a", "b", "c", "d"), ("a", "b")]


def test_equal_means_go_by_name() -> None:
    verdicts, _ = halve({"c": [0.5, 0.5], "a": [0.5, 0.5], "b": [0.5, 0.5]}, ("all", 2))
    assert [(verdict.kept, verdict.dropped) for verdict in verdicts] == [(("a", "b"), ("c",))]


def test_a_failed_run_is_no_low_score_its_arm_gets_the_next_seed_in_its_place() -> None:
    table: Table = {
        "none": [0.1, 0.1, 0.1, 0.1], "a": [None, 0.9, 0.8, 0.7], "b": [0.5, 0.5, 0.5, 0.5], "c": [0.4, 0.4, 0.4, 0.4]
    }  # fmt: skip
    verdicts, reached = halve(table)
    assert verdicts[0] == Verdict("halve", 1, 1.0, ("a", "b"), ("c",), {"a": 0.9, "b": 0.5, "c": 0.4})
    assert trained(reached)["a"] == [0, 1, 2, 3], "three that count"
    assert trained(reached)["none"] == [0, 1, 2, 3], "every seed that the leader has"


def test_an_arm_that_fails_with_every_seed_is_dropped_without_a_score() -> None:
    table: Table = {"a": [None, None, None], "b": [0.5, 0.5, 0.5], "c": [-9.0, -9.0, -9.0]}
    verdicts, _ = halve(table, ("all", 3, 3))
    assert [(verdict.kept, verdict.dropped) for verdict in verdicts] == [(("b", "c"), ("a",)), (("b", "c"), ())]
    assert math.isnan(verdicts[0].scores["a"])
    verdicts, _ = halve({"a": [None, None], "b": [None, None]}, ("all", 1))
    assert [(verdict.kept, verdict.dropped) for verdict in verdicts] == [((), ("a", "b"))]


def test_the_baseline_decides_nothing_and_nothing_waits_for_it() -> None:
    rule = HalveRule(runs_of(2, 2), ("all", 1))
    assert set(rule.wanted()) == {Run("none", 0), Run("a", 0), Run("b", 0)}
    rule.report(Run("a", 0), 1.0, 0.1)
    [verdict] = rule.report(Run("b", 0), 1.0, 0.2)
    assert verdict.kept == ("b",)
    assert set(rule.wanted()) == {Run("none", 0), Run("none", 1), Run("b", 1)}


def test_a_stratum_of_the_baseline_alone_runs_it_to_the_end() -> None:
    _, reached = drive(HalveRule(runs_of(0, 3), KEEP), lambda run, share: 0.5, random.Random(0))
    assert reached == dict.fromkeys(runs_of(0, 3), 1.0)


def test_a_baseline_without_a_seed_or_with_seeds_of_its_own() -> None:
    arms = [Run(arm, seed) for arm in "ab" for seed in (0, 1)]
    _, reached = drive(HalveRule([Run("none", None), *arms], ("all", 1)), lambda run, share: 0.5, random.Random(0))
    assert {run for run in reached if run.arm == BASELINE} == {Run("none", None)}
    own = [Run("none", seed) for seed in (7, 8, 9)]
    _, reached = drive(HalveRule([*own, *arms], ("all", 1)), lambda run, share: 0.5, random.Random(0))
    assert {run.seed for run in reached if run.arm == BASELINE} == {7, 8}


def test_a_rung_stops_the_worse_first_seeds_on_the_way() -> None:
    levels = {"none": (0.0, 0.0), "a": (0.4, 0.4), "b": (0.3, 0.6), "c": (0.2, 0.9), "d": (0.1, 0.9)}
    rule = HalveRule(runs_of(4, 2), ("all", 1), rung=0.5)
    assert rule.wanted() == {Run("none", 0): 1.0} | {Run(arm, 0): 0.5 for arm in "abcd"}
    verdicts, reached = drive(rule, lambda run, share: levels[run.arm][share == 1.0], random.Random(1))
    assert [(v.round, v.share, v.kept, v.dropped) for v in verdicts] == [
        (1, 0.5, ("a", "b"), ("c", "d")), (2, 1.0, ("b",), ("a",))
    ]  # fmt: skip
    assert rule.stopped() == {Run("c", 0): 0.5, Run("d", 0): 0.5}
    assert trained(reached) == {"none": [0, 1], "a": [0], "b": [0, 1]}


def test_a_rung_keeps_who_is_to_get_a_second_seed() -> None:
    rule = HalveRule(runs_of(4, 2), ("all", 3), rung=0.25, rung_keep=1)
    verdicts, _ = drive(rule, lambda run, share: ord(run.arm[0]) / 1000, random.Random(1))
    assert verdicts[0].kept == ("d", "c", "b")


def test_what_was_trained_before_passes_a_rung() -> None:
    rule = HalveRule(runs_of(3, 1), ("all",), rung=0.5, rung_keep=1)
    rule.report(Run("a", 0), 1.0, 0.1)
    rule.report(Run("b", 0), 0.5, 0.2)
    [verdict] = rule.report(Run("c", 0), 0.3, None)
    assert (verdict.kept, verdict.dropped) == (("b", "a"), ("c",))
    assert rule.wanted() == {Run("b", 0): 1.0, Run("none", 0): 1.0}
    assert rule.stopped() == {}, "a failed run is not a stopped one"


def test_repeats_are_ignored_and_strangers_refused() -> None:
    rule = HalveRule(runs_of(2, 2), ("all", 1))
    rule.report(Run("a", 0), 1.0, 0.5)
    assert rule.report(Run("a", 0), 1.0, 0.9) == []
    with pytest.raises(ValueError, match="not of this stratum"):
        rule.report(Run("x", 0), 1.0, 0.5)
    with pytest.raises(ValueError, match="was not asked for"):
        rule.report(Run("b", 0), 0.5, 0.5)


keeps = st.lists(st.integers(1, 6), max_size=3).map(lambda rest: ("all", *sorted(rest, reverse=True)))


@given(st.data(), st.integers(0, 6), st.integers(1, 4), keeps, st.sampled_from([None, 0.5]))
def test_the_order_of_arrival_decides_nothing(
    data: st.DataObject, arms: int, seeds: int, keep: tuple[Places, ...], rung: float | None
) -> None:
    runs = runs_of(arms, seeds)
    score = data.draw(tables(runs, (1.0,) if rung is None else (rung, 1.0)))
    outcomes = []
    for order in data.draw(st.lists(st.randoms(use_true_random=False), min_size=2, max_size=3)):
        rule = HalveRule(runs, keep, rung)
        verdicts, reached = drive(rule, score, order)
        outcomes.append((repr(verdicts), reached, rule.stopped()))
        finished = {run: score(run, 1.0) for run, share in reached.items() if share == 1.0}
        assert {run.seed for run in finished} <= {run.seed for run in finished if run.arm == BASELINE}
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(st.data(), st.integers(1, 5), st.integers(1, 4), keeps, st.sampled_from([None, 0.5]))
def test_scores_read_back_after_a_restart_give_the_same_state(
    data: st.DataObject, arms: int, seeds: int, keep: tuple[Places, ...], rung: float | None
) -> None:
    runs = runs_of(arms, seeds)
    score: Score = data.draw(tables(runs, (1.0,) if rung is None else (rung, 1.0)))
    order = data.draw(st.randoms(use_true_random=False))
    rule, verdicts, reported = HalveRule(runs, keep, rung), [], []
    for _ in range(data.draw(st.integers(0, 2 * len(runs)))):
        if wanted := rule.wanted():
            run = order.choice(sorted(wanted))
            reported.append((run, wanted[run]))
            verdicts += rule.report(*reported[-1], score(*reported[-1]))
    again = HalveRule(runs, keep, rung)
    found = [verdict for run, share in sorted(reported) for verdict in again.report(run, share, score(run, share))]
    assert (again.wanted(), again.stopped()) == (rule.wanted(), rule.stopped())
    assert repr(found) == repr(verdicts)
