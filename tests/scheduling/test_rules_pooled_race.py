"""Races from one seed, whose noise is pooled over strata."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from raystilts.ranking.intervals import decompose
from raystilts.ranking.joint import units
from raystilts.schedules.base import Run, Verdict
from raystilts.schedules.race import PooledRaceRule, moderated

from .driving import SCORES

Table = dict[str, list[float | None]]


def race(
    tables: dict[str, Table], order: int = 0, **given: int
) -> tuple[dict[str, list[Verdict]], dict[str, set[Run]]]:
    """Any wanted run of any stratum may report next; the verdicts, and the runs that were asked for."""
    strata = {key: [Run(arm, seed) for arm, row in table.items() for seed in range(len(row))]
              for key, table in tables.items()}  # fmt: skip
    shared = PooledRaceRule(strata, given.get("max_seeds"), 0.9)
    verdicts: dict[str, list[Verdict]] = {key: [] for key in tables}
    asked: dict[str, set[Run]] = {key: set() for key in tables}
    rng = random.Random(order)
    while wanted := [(key, run) for key in tables for run in sorted(shared.of(key).wanted(), key=repr)]:
        key, run = rng.choice(wanted)
        asked[key].add(run)
        assert run.seed is not None
        verdicts[key] += shared.of(key).report(run, 1.0, tables[key][run.arm][run.seed])
        for other in tables:
            verdicts[other] += shared.of(other).take_verdicts()
    return verdicts, asked


FIRST: Table = {
    "none": [50.0, 50.2, 50.1], "a": [53.0, 53.4, 53.0], "b": [52.6, 52.5, 52.9], "c": [52.3, 52.4, 52.2],
    "d": [48.0, 48.0, 48.0],
}  # fmt: skip
SECOND: Table = {
    "none": [70.0, 70.9, 70.2], "a": [72.0, 71.5, 72.1], "b": [75.0, 74.2, 74.4], "c": [71.0, 71.0, 71.0],
    "d": [76.0, 75.0, 75.1],
}  # fmt: skip
TWICE = {"x": "ab", "y": "db"}  # the best two by their first seeds


def test_the_first_two_rounds() -> None:
    verdicts, asked = race({"x": FIRST, "y": SECOND})
    first = verdicts["x"][0]
    assert (first.rule, first.round, first.kept, first.dropped) == ("race", 1, ("a", "b", "c", "d"), ())
    assert first.scores == {"none": 50.0, "a": 53.0, "b": 52.6, "c": 52.3, "d": 48.0}
    assert verdicts["y"][0].kept == ("d", "b", "a", "c")
    assert {Run("none", 1), Run("a", 1), Run("b", 1)} <= asked["x"]
    assert Run("d", 1) not in asked["x"], "far behind with one seed"
    assert Run("d", 1) in asked["y"]


def test_the_bound_is_that_of_the_pooled_t_worked_out_by_hand() -> None:
    """After the second round: none and two arms with two seeds each, in two strata; s^2 = (4 u^2 r + SS) / (4 + 2)."""
    pooled, squares, spread = 0.0, {}, {}
    for key, table in (("x", FIRST), ("y", SECOND)):
        repeated = TWICE[key]
        pairs = np.array([table[arm][:2] for arm in ("none", *repeated)], dtype=float)
        residual = pairs - pairs.mean(1, keepdims=True) - pairs.mean(0) + pairs.mean()
        seen = [*pairs.ravel(), *(float(row[0] or 0) for arm, row in table.items() if arm not in ("none", *repeated))]
        squares[key] = float((residual**2).sum())
        spread[key] = 1.4826 * float(np.median(np.abs(np.array(seen) - np.median(seen))))
        pooled += squares[key] / spread[key] ** 2
    ratio = pooled / 4
    verdicts, _ = race({"x": FIRST, "y": SECOND})
    for key in ("x", "y"):
        s = math.sqrt((4 * ratio * spread[key] ** 2 + squares[key]) / 6)
        second = verdicts[key][1]
        best = max(second.scores, key=second.scores.__getitem__)
        for arm in sorted(set("abcd") - {best}):
            # least squares with seeds as blocks: three arms with two seeds, and perhaps one with the first alone
            block = [[1.0, 1.0]] * 3 if arm in TWICE[key] else [[1.0, 1.0]] * 3 + [[1.0, math.nan]]
            share = decompose(block).covariance
            variance = share[-1, -1] + share[0, 0] - 2 * share[-1, 0]
            margin = stats.t.ppf(0.9, 6) * s * math.sqrt(variance)
            assert (arm in second.dropped) == (second.scores[best] - second.scores[arm] > margin), (key, arm)


def test_a_noisy_stratum_is_kept_noisy_and_one_without_repeats_takes_the_others() -> None:
    calm = decompose([[1.0, 1.1], [2.0, 2.2], [3.0, 3.0]])
    wild = decompose([[1.0, 3.0], [2.0, 0.0], [3.0, 4.0]])
    single = decompose([[1.0], [2.0], [3.0]])
    scores = np.array([[1.0, 1.1, 2.0, 2.2, 3.0, 3.0], [1.0, 3.0, 2.0, 0.0, 3.0, 4.0], [1.0, 2, 3, *[np.nan] * 3]])
    unit = units(scores[:, :, None])[1] ** 2
    found = moderated([calm, wild, single], scores)
    assert [fit.df for fit in found] == [4, 4, 4]
    own, other = calm.squares.sum() / unit[0], wild.squares.sum() / unit[1]
    assert found[0].variance == pytest.approx((other * unit[0] + calm.squares.sum()) / 4)
    assert found[1].variance == pytest.approx((own * unit[1] + wild.squares.sum()) / 4)
    assert found[2].variance == pytest.approx((own + other) / 4 * unit[2])
    assert found[1].variance > found[0].variance
    assert np.array_equal(found[2].effects, single.effects)


def test_a_stratum_alone_learns_nothing_of_others() -> None:
    alone = decompose([[1.0, 1.1], [2.0, 2.2], [3.0, 3.0]])
    assert moderated([alone], np.array([[1.0, 1.1, 2.0, 2.2, 3.0, 3.0]])) == [alone]


def test_where_nothing_is_repeated_nothing_is_told() -> None:
    single = decompose([[1.0], [2.0]])
    assert moderated([single], np.array([[1.0, 2.0]])) == [single]


def test_one_failure_drops_no_arm_and_two_do() -> None:
    table: Table = {"none": [50.0, 50.1, 50.0], "a": [None, 55.0, 55.1], "b": [52.0, 52.2, 52.0], "c": [None, None, 60],
                    "d": [51.0, 51.1, 51.0]}  # fmt: skip
    verdicts, asked = race({"x": table})
    assert verdicts["x"][0].kept == ("b", "d", "a", "c")
    assert math.isnan(verdicts["x"][0].scores["a"])
    assert "c" in verdicts["x"][1].dropped
    assert "a" in verdicts["x"][1].kept
    assert Run("c", 2) not in asked["x"]


def test_it_ends_at_the_last_seed_and_with_one_arm() -> None:
    equal: Table = {"none": [5.0, 2.0, 3.0], "a": [5.0, -4.0, 5.0], "b": [4.8, 3.0, 2.0], "c": [4.9, 6.0, 1.0]}
    _, asked = race({"x": equal})
    assert Run("none", 2) in asked["x"]
    assert len(asked["x"]) == 11, "arm a is dropped after two seeds"
    _, asked = race({"x": equal}, max_seeds=2)
    assert {run.seed for run in asked["x"]} == {0, 1}
    _, asked = race({"x": equal}, max_seeds=1)
    assert {run.seed for run in asked["x"]} == {0}
    verdicts, asked = race({"x": {"none": [1.0, 1.0], "a": [2.0, 2.0]}, "y": {"none": [1.0, 1.0]}})
    assert asked["x"] == {Run("none", 0), Run("a", 0)}
    assert verdicts["y"] == []


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_order_of_arrival_decides_nothing(data: st.DataObject) -> None:
    rows = st.lists(SCORES, min_size=3, max_size=3)
    tables = {key: {arm: data.draw(rows) for arm in ("none", "a", "b", "c")} for key in ("x", "y")}
    assert repr(race(tables, 0)[0]) == repr(race(tables, data.draw(st.integers(1, 1000)))[0])
