from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from raystilts.planning.cost import estimate, stage_tokens
from raystilts.planning.stages import Plan
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import forecast
from raystilts.scheduling.schedule import Strata

from .test_strata import SCORES, drive, key_of, planned


def fresh(one: Plan) -> StageGraph:
    return StageGraph(one.stages, Strata(one))


def arms_share(one: Plan, shares: Mapping[str, float], arms: int) -> float:
    """The mean share of the arms' trained target stages; `none` is checked to be whole."""
    assert all(shares[key_of(one, "none", seed)] == 1.0 for seed in one.study.seeds[:2])
    found = [shares[key] for key, s in one.stages.items() if s.kind == "target" and s.intermediate.label != "none"]
    assert len(found) == arms * len(one.study.seeds)
    return sum(found) / len(found)


def test_full_trains_everything(tmp_path: Path) -> None:
    one = planned(tmp_path, "full")
    found = forecast(one, StageGraph(one.stages))
    assert found.of_grid(one) == (1.0, 1.0)
    assert set(found.left(StageGraph(one.stages)).values()) == {(1.0, 1.0)}


def test_asha_is_known_beforehand(tmp_path: Path) -> None:
    one = planned(tmp_path, {"asha": {"grace_period": 0.25}})  # four arms: two go on at 1/4, one at 1/2
    found = forecast(one, fresh(one))
    for shares in (found.low, found.high):
        assert arms_share(one, shares, 4) == (1.0 + 0.5 + 0.25 + 0.25) / 4
    low, high = found.of_grid(one)
    assert low == pytest.approx(high)
    spared = sum((1 - found.low[key]) * stage_tokens(stage) for key, stage in one.stages.items())
    assert low == pytest.approx(1 - spared / sum(map(stage_tokens, one.stages.values())))


def test_a_race_lies_between_its_first_round_and_all_seeds(tmp_path: Path) -> None:
    one = planned(tmp_path, "race", seeds=[0, 1, 2, 3], targets=["cldr_units"])
    found = forecast(one, fresh(one))
    assert arms_share(one, found.low, 4) == 0.5
    assert arms_share(one, found.high, 4) == 1.0
    assert found.low[key_of(one, "cldr_same", 2, None)] == 0.0, "its intermediates are spared too"
    assert found.of_grid(one)[1] == 1.0
    assert found.of_grid(one)[0] == pytest.approx(0.5, abs=0.1)


def test_halving_is_known_beforehand(tmp_path: Path) -> None:
    one = planned(tmp_path, {"halve": {"keep": ["all", 2], "rung": 0.5, "rung_keep": 3}}, targets=["cldr_units"])
    found = forecast(one, fresh(one))
    for shares in (found.low, found.high):  # three of four go on at the rung, two get their second seed
        assert arms_share(one, shares, 4) == (3 * 1.0 + 0.5 + 2 * 1.0) / 8
    low, high = found.of_grid(one)
    assert low == pytest.approx(high, abs=0.01), "intermediates differ in size, whichever go on"


def test_a_budget_is_known_beforehand(tmp_path: Path) -> None:
    targets = ["cldr_units", "cldr_dates"]
    for budget, runs in (({"runs": 12}, 12), ({"budget": 0.5}, 14)):  # of 27: an arm's own data are no target of it
        one = planned(tmp_path, {"top_two": budget}, targets=targets, seeds=[0, 1, 2])
        found = forecast(one, fresh(one))
        for shares in (found.low, found.high):
            assert sum(shares[key] > 0 for key in one.stages if Strata(one).governs(key)) == runs


def test_a_budget_of_time_buys_runs_at_their_price(tmp_path: Path) -> None:
    one = planned(tmp_path, "full", targets=["cldr_units"], seeds=[0, 1, 2, 3])
    total = estimate(one, one.stages, ()).hours
    few, all_of_it = (
        forecast(again, fresh(again)).of_grid(again)[1]
        for hours in (0.6 * total, 2 * total)
        for again in [planned(tmp_path, {"top_two": {"gpu_hours": hours}}, targets=["cldr_units"], seeds=[0, 1, 2, 3])]
    )
    assert 0.45 < few < 0.7
    assert all_of_it > 0.95


@pytest.mark.parametrize("schedule", ["asha", "race", "halve", "top_two"])
def test_at_the_end_it_is_what_was_trained(tmp_path: Path, schedule: str) -> None:
    one = planned(tmp_path, schedule, seeds=[0, 1, 2])
    graph = drive(one, Strata(one), random.Random(0))
    found = forecast(one, graph)
    for shares in (found.low, found.high):
        for key, stage in one.stages.items():
            if stage.kind == "target":
                assert shares[key] == (1.0 if graph.state[key] == "finished" else graph.reached(key))
    assert graph.left() == {}


def test_what_is_spared_costs_nothing(tmp_path: Path) -> None:
    whole, raced = (planned(tmp_path, s, seeds=[0, 1, 2, 3]) for s in ("full", "race"))
    found = forecast(raced, fresh(raced))
    everything = estimate(whole, whole.stages, [])
    cost = estimate(raced, raced.stages, [], found.left(fresh(raced)))
    assert cost.low == pytest.approx(everything.low * found.of_grid(raced)[0])
    assert cost.high == pytest.approx(everything.high)
    assert set(SCORES) == {arm.label for arm in raced.study.intermediates}
