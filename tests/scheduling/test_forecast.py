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


@pytest.mark.parametrize("schedule", ["asha", "race"])
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
