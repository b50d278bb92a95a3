from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.schedules.asha import AshaRule
from raystilts.schedules.base import FullRule, Run, StratumRule
from raystilts.schedules.race import RaceRule
from raystilts.testing.replay import Curves, replay

NAN = math.nan
ARMS = ["none", "a", "b", "c", "d"]


def full(stratum: str, runs: Sequence[Run]) -> StratumRule:
    return FullRule(runs)


def halving(stratum: str, runs: Sequence[Run]) -> StratumRule:
    return AshaRule(runs, (0.5,), 2)


def racing(stratum: str, runs: Sequence[Run]) -> StratumRule:
    return RaceRule(runs, 2, None, 0.9)


def flat(seeds: int = 1, **scores: float) -> Curves:
    """Arms that score the same at every share, and a little more with every seed."""
    table = [[[score + seed / 1000] * 2 for seed in range(seeds)] for score in scores.values()]
    return Curves.from_array(list(scores), (0.5, 1.0), table)


def test_curves_from_a_table_of_points() -> None:
    frame = pd.DataFrame(
        [("none", None, 1.0, 0.2), ("a", 3, 1.0, 0.5), ("a", 3, 0.25, 0.1), ("b", 3, 0.25, None)],
        columns=["arm", "seed", "share", "score"],
    )
    curves = Curves.from_frame(frame)
    assert list(curves.points) == [Run("none", None), Run("a", 3), Run("b", 3)]
    assert curves.points[Run("a", 3)] == ((0.25, 0.1), (1.0, 0.5))
    assert math.isnan(curves.score(Run("b", 3), 1.0))


def test_a_table_that_cannot_be_read_says_why() -> None:
    frame = pd.DataFrame([("a", 0, 1.5, 0.2)], columns=["arm", "seed", "share", "score"])
    with pytest.raises(UserError, match=r"share 1.5 of arm 'a'"):
        Curves.from_frame(frame)
    with pytest.raises(UserError, match="missing: score"):
        Curves.from_frame(frame.drop(columns="score"))


def test_the_score_at_a_share_is_the_last_one_known_there() -> None:
    curves = Curves.from_array(["a"], (0.25, 0.5, 1.0), [[[0.1, 0.2, 0.3], [0.1, NAN, 0.4]]])
    assert [curves.score(Run("a", 0), share) for share in (0.25, 1 / 3, 0.5 - 1e-9, 0.9, 1.0)] == [
        0.1, 0.1, 0.2, 0.2, 0.3,
    ]  # fmt: skip
    assert math.isnan(curves.score(Run("a", 1), 1.0))  # failed before
    with pytest.raises(UserError, match=r"first is at 0\.25"):
        curves.score(Run("a", 0), 0.1)


def test_the_first_seeds_only() -> None:
    curves = flat(seeds=3, a=0.1, b=0.2)
    assert list(curves.only(2).points) == [Run("a", 0), Run("a", 1), Run("b", 0), Run("b", 1)]


def test_halving_costs_half_of_what_it_stops() -> None:
    replayed = replay({"t": flat(none=0.1, a=0.2, b=0.3, c=0.4, d=0.15)}, halving)
    outcome = replayed.outcomes["t"]
    assert replayed.compute == (1 + 2 * 1 + 2 * 0.5) / 5
    assert replayed.seconds == replayed.wall_seconds == 4.0
    assert outcome.stopped == {Run("a", 0): 0.5, Run("d", 0): 0.5}
    assert outcome.finished == {Run("none", 0): 0.1, Run("b", 0): 0.3, Run("c", 0): 0.4}
    assert [v.kept for v in outcome.verdicts] == [("c", "b")]
    assert outcome.chosen == "c"


def test_racing_gives_further_seeds_to_the_survivors_alone() -> None:
    table = [[0.0, 0.1, 0.0], [5.0, 5.2, 5.1], [5.2, 5.1, 5.2], [1.0, 1.1, 1.0]]
    curves = Curves.from_array(["none", "a", "b", "c"], (1.0,), np.array(table)[:, :, None])
    replayed = replay({"t": curves}, racing, slots=3)
    assert replayed.compute == (8 + 3) / 12
    assert replayed.outcomes["t"].chosen == "b"
    assert Run("c", 2) not in replayed.outcomes["t"].finished
    assert replayed.wall_seconds == 4.0  # eight runs on three slots, then three


def test_a_failed_run_costs_what_it_took_to_see_it() -> None:
    curves = Curves.from_array(["a", "b"], (0.5, 1.0), [[[NAN, NAN]], [[0.1, NAN]]])
    replayed = replay({"t": curves}, halving)
    assert replayed.outcomes["t"].failed == {Run("a", 0), Run("b", 0)}
    assert replayed.outcomes["t"].finished == {}
    assert replayed.outcomes["t"].chosen is None
    assert replayed.seconds == 0.5 + 1.0


def test_an_intermediate_stage_is_paid_once_for_all_strata() -> None:
    strata = {name: flat(seeds=2, none=0.0, a=0.1) for name in ("t", "u")}
    replayed = replay(strata, full, slots=1, intermediate_seconds=lambda run: 10.0)
    assert replayed.intermediates == {Run("a", 0), Run("a", 1)}
    assert replayed.seconds == replayed.full_seconds == 8 + 20


def test_a_slow_intermediate_delays_only_its_own_targets() -> None:
    curves = flat(none=0.0, a=0.1, b=0.2)
    seconds = {"a": 50.0, "b": 1.0}
    replayed = replay({"t": curves}, full, slots=2, intermediate_seconds=lambda run: seconds[run.arm])
    assert replayed.wall_seconds == 51.0
    assert replayed.seconds == 54.0


def test_a_race_trains_no_intermediate_that_every_stratum_has_dropped() -> None:
    ahead, behind = flat(seeds=4, none=0.0, a=9.0, b=9.0, c=1.0), flat(seeds=4, none=0.0, a=9.0, b=1.0, c=1.0)
    replayed = replay({"t": ahead, "u": behind}, racing, intermediate_seconds=lambda run: 1.0)
    assert replayed.intermediates == {Run(arm, seed) for arm in "ab" for seed in range(4)} | {Run("c", 0), Run("c", 1)}


def test_a_baseline_without_a_seed_is_exact() -> None:
    points = {Run("none", None): ((1.0, 0.5),)} | {Run("a", seed): ((1.0, 0.4 + seed / 100),) for seed in (0, 1)}
    outcome = replay({"t": Curves(points)}, full).outcomes["t"]
    assert outcome.chosen == "none"
    assert outcome.finished[Run("none", None)] == 0.5


def test_a_grid_needs_a_slot() -> None:
    with pytest.raises(UserError, match="slots is 0"):
        replay({"t": flat(a=0.1)}, full, slots=0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.sampled_from([full, halving, racing]), st.floats(0.0, 5.0))
def test_neither_order_nor_slots_change_what_is_stopped_and_chosen(
    seed: int, slots: int, rule: type[FullRule], price: float
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(5, 3, 2)).round(1)
    scores[rng.random((5, 3)) < 0.1] = NAN
    strata = {name: Curves.from_array(ARMS, (0.5, 1.0), scores + i) for i, name in enumerate("tu")}
    first = replay(strata, rule)
    other = replay(strata, rule, slots=slots, intermediate_seconds=lambda run: price, shuffle=rng)
    for name in strata:
        a, b = first.outcomes[name], other.outcomes[name]
        assert (a.finished, a.failed, a.stopped, a.chosen) == (b.finished, b.failed, b.stopped, b.chosen)
        assert repr(a.verdicts) == repr(b.verdicts)
    assert other.wall_seconds <= other.seconds <= slots * other.wall_seconds + 1e-9
    assert other.compute <= 1.0 + 1e-9
