from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raystilts.schedules import top_two
from raystilts.schedules.base import BASELINE, Run, Verdict
from raystilts.schedules.top_two import TopTwoRule, TopTwoSettings, _top_two, limited_to

Runs = dict[str, list[Run]]
Place = tuple[str, Run]


@pytest.fixture(autouse=True)
def _short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decisions below need no precise posterior."""
    for name, sweeps in (("_BURN", 10), ("_DRAWS", 40), ("_FINAL_BURN", 20), ("_FINAL_DRAWS", 100)):
        monkeypatch.setattr(top_two, name, sweeps)


def grid(targets: int, arms: int, seeds: int, baseline: bool = True) -> Runs:
    names = [*([BASELINE] if baseline else []), *"abcdefghijklmnop"[:arms]]
    return {f"t{t}": [Run(arm, seed) for arm in names for seed in range(seeds)] for t in range(targets)}


def scores_of(runs: Runs, seed: int = 0, noise: float = 0.5) -> tuple[dict[Place, float], dict[tuple[str, str], float]]:
    """Scores of all runs, and the true score of each cell: targets agree on the arms but for a little."""
    rng = np.random.default_rng(seed)
    arms = sorted({run.arm for found in runs.values() for run in found})
    strength = dict(zip(arms, rng.normal(0, 2, len(arms)), strict=True))
    truth = {(key, arm): 60 + strength[arm] + rng.normal(0, 0.5) for key in runs for arm in arms}
    return {
        (key, run): truth[key, run.arm] + rng.normal(0, noise) for key, found in runs.items() for run in found
    }, truth


def drive(
    rule: TopTwoRule, keys: Sequence[str], scores: Mapping[Place, float | None], order: random.Random
) -> tuple[list[Place], dict[str, list[Verdict]]]:
    """Lets any wanted run report next; returns the runs in the order of their reports, and the verdicts."""
    strata = {key: rule.of(key) for key in keys}
    done: list[Place] = []
    verdicts: dict[str, list[Verdict]] = {key: [] for key in keys}
    while wanted := [(key, run) for key, stratum in strata.items() for run in stratum.wanted()]:
        key, run = order.choice(sorted(wanted))
        done.append((key, run))
        verdicts[key] += strata[key].report(run, 1.0, scores[key, run])
        for other, stratum in strata.items():
            verdicts[other] += stratum.take_verdicts()
    return done, verdicts


def played(
    runs: Runs, scores: Mapping[Place, float | None], budget: int, seed: int = 0, **more: Any
) -> tuple[TopTwoRule, list[Place], dict[str, list[Verdict]]]:
    """A rule at its end, what was run, and what was decided."""
    rule = TopTwoRule(runs, TopTwoSettings(limited_to(budget), **more))
    return rule, *drive(rule, list(runs), scores, random.Random(seed))


def test_the_share_of_each_arm_by_hand() -> None:
    """a is drawn as the best with .5, as the challenger of b with .3 * .5 / .7 and of c with .2 * .5 / .8."""
    found = _top_two({"a": 0.5, "b": 0.3, "c": 0.2, "d": 0.0})
    assert found["a"] == pytest.approx(0.5 * (0.5 + 0.3 * 0.5 / 0.7 + 0.2 * 0.5 / 0.8))
    assert found["d"] == 0.0
    assert sum(found.values()) == pytest.approx(1.0)
    assert _top_two({"a": 1.0, "b": 0.0}) == {"a": 0.5, "b": 0.0}


def test_it_starts_with_the_priors_first_two_and_one_more() -> None:
    runs = grid(4, 8, 2)
    prior = {("t0", arm): float(place) for place, arm in enumerate("abcdefgh")}
    rule = TopTwoRule(runs, TopTwoSettings(limited_to(99), prior=prior))
    first = {key: set(rule.of(key).wanted()) for key in runs}
    assert {run.seed for found in first.values() for run in found} == {0}
    assert {run.arm for run in first["t0"]} > {"none", "h", "g"}
    assert [len(found) for found in first.values()] == [4, 6, 6, 6], "none is known of the others"


def test_without_a_prior_all_arms_start_about_as_often() -> None:
    runs = grid(8, 10, 2)
    rule = TopTwoRule(runs, TopTwoSettings(limited_to(999)))
    started = Counter(run.arm for key in runs for run in rule.of(key).wanted())
    assert started.pop(BASELINE) == 8
    assert set(started) == set("abcdefghij")
    assert set(started.values()) == {4}


def test_the_budget_is_used_up_and_kept() -> None:
    runs = grid(3, 6, 3)
    for budget in (0, 5, 30, 999):
        _, done, _ = played(runs, scores_of(runs)[0], budget, 0)
        assert len(done) == len(set(done)) == min(budget, 3 * 7 * 3)


def test_it_finds_the_best_arms_with_a_third_of_the_runs() -> None:
    runs = grid(6, 12, 4)
    scores, truth = scores_of(runs)
    rule, done, verdicts = played(runs, scores, 100)
    lost = [
        max(v for (key, _), v in truth.items() if key == k) - truth[k, a.leader or ""]
        for k, a in rule.answers().items()
    ]
    assert max(lost) < 1.0, "points, where arms differ by 2"
    best = {key: max((arm for of, arm in truth if of == key), key=lambda arm: truth[key, arm]) for key in runs}
    seeds = Counter((key, run.arm) for key, run in done)
    assert np.mean([seeds[key, best[key]] for key in runs]) > 1.5 * len(done) / (6 * 13)
    for key, answer in rule.answers().items():
        final = verdicts[key][-1]
        assert final.kept == ((answer.leader,) if answer.leader != BASELINE else ())
        assert set(final.kept) | set(final.dropped) | {BASELINE} == {run.arm for run in runs[key]}


def test_the_baseline_gets_the_leaders_seeds() -> None:
    runs = grid(3, 6, 4)
    _, done, _ = played(runs, scores_of(runs)[0], 60, 1)
    for key in runs:
        number = Counter(run.arm for of, run in done if of == key)
        assert number[BASELINE] >= sorted(number[arm] for arm in number if arm != BASELINE)[-2] - 1


def test_a_target_that_is_sure_gets_no_more_where_there_is_a_tolerance() -> None:
    runs = grid(4, 6, 4)
    scores, _ = scores_of(runs, noise=0.05)
    done = {
        tolerance: len(
            drive(
                TopTwoRule(runs, TopTwoSettings(limited_to(112), tolerance=tolerance)),
                list(runs),
                scores,
                random.Random(0),
            )[0]
        )
        for tolerance in (None, 0.3)
    }
    assert done[None] == 112
    assert done[0.3] < 80


def test_a_price_keeps_to_intermediates_that_are_there() -> None:
    runs = grid(8, 10, 4)
    scores, _ = scores_of(runs, noise=2.0)
    trained = {}
    for price in (0.0, 50.0):
        prices = dict.fromkeys("abcdefghij", price)
        _, done, _ = played(runs, scores, 150, 0, prices=prices)
        trained[price] = len({run for _, run in done if run.arm != BASELINE})
    assert trained[50.0] < trained[0.0]


def test_failures_are_no_scores_and_do_not_hold_it_up() -> None:
    runs = grid(3, 5, 3)
    scores: dict[Place, float | None] = dict(scores_of(runs)[0])
    scores |= {(key, run): None for key, run in scores if run.arm == "a" or (key == "t1" and run.seed == 0)}
    rule, done, _ = played(runs, scores, 40)
    assert len(done) == 40
    assert all(answer.leader not in (None, "a") for answer in rule.answers().values())


def test_strata_need_not_have_the_same_arms() -> None:
    runs = {
        "t0": [Run("a", 0), Run("b", 0), Run("b", 1)],
        "t1": [Run("none", None), Run("a", 0)],
        "t2": [Run("none", 0)],
    }
    scores = {(key, run): 1.0 for key, found in runs.items() for run in found}
    _, done, _ = played(runs, scores, 99, 0)
    assert sorted(done, key=repr) == sorted(scores, key=repr)


def table(data: st.DataObject, runs: Runs) -> dict[Place, float | None]:
    places = [(key, run) for key, found in runs.items() for run in found]
    values = st.sampled_from([None, *(quarter / 4 for quarter in range(9))])
    return dict(zip(places, data.draw(st.lists(values, min_size=len(places), max_size=len(places))), strict=True))


few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(st.data(), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 30))
def test_the_order_of_arrival_decides_nothing(
    data: st.DataObject, targets: int, arms: int, seeds: int, budget: int
) -> None:
    runs = grid(targets, arms, seeds)
    scores = table(data, runs)
    outcomes = []
    for seed in (0, 1):
        rule, done, verdicts = played(runs, scores, budget, seed, round_size=2)
        outcomes.append((set(done), repr(verdicts), repr(rule.answers())))
    assert outcomes[0] == outcomes[1]


@few
@given(st.data(), st.integers(0, 20))
def test_scores_read_back_after_a_restart_give_the_same_state(data: st.DataObject, number: int) -> None:
    runs = grid(2, 4, 2)
    scores = table(data, runs)
    _, full, _ = played(runs, scores, 20, 2, round_size=3)
    kinds = [full[:number], sorted(full[:number]), sorted(full[:number], reverse=True)]
    states = []
    for reports in kinds:
        rule = TopTwoRule(runs, TopTwoSettings(limited_to(20), round_size=3))
        verdicts = [rule.of(key).report(run, 1.0, scores[key, run]) for key, run in reports]
        assert all(math.isfinite(v.share) for found in verdicts for v in found)
        states.append(([rule.of(key).wanted() for key in runs], repr(rule.answers())))
    assert states[0] == states[1] == states[2]
