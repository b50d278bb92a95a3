from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from raystilts.schedules import Schedule
from raystilts.schedules.asha import Asha
from raystilts.schedules.halve import Halve, places_of
from raystilts.schedules.race import Race
from raystilts.schedules.top_two import TopTwo
from raystilts.study.base import parse_yaml

SCHEDULE: TypeAdapter[Any] = TypeAdapter(Schedule)


def read(text: str) -> Any:
    return SCHEDULE.validate_python(parse_yaml(text, "study.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("full", "full"),
        ("asha", Asha()),
        ("race", Race()),
        ("{asha: }", Asha()),
        ("{asha: {grace_period: 0.34, reduction_factor: 3}}", Asha(grace_period=0.34, reduction_factor=3)),
        ("{asha: {finish_stopped: true}}", Asha(finish_stopped=True)),
        ("halve", Halve()),
        ("{halve: {keep: [all, 0.2, 2], rung: 0.5}}", Halve(keep=("all", 0.2, 2), rung=0.5)),
        ("top_two", TopTwo()),
        ("{top_two: {runs: 90, prior: results/small}}", TopTwo(runs=90, prior=("results/small",))),
        ("{race: {max_seeds: 8, confidence: 0.95}}", Race(max_seeds=8, confidence=0.95)),
    ],
)
def test_how_it_is_written(text: str, schedule: Any) -> None:
    assert read(text) == schedule
    assert SCHEDULE.validate_python(SCHEDULE.dump_python(schedule, mode="json")) == schedule


def test_the_defaults_are_the_measured_ones() -> None:
    assert (Asha().grace_period, Asha().reduction_factor, Asha().rungs) == (0.5, 2.0, (0.5,))
    assert (Race().min_seeds, Race().max_seeds, Race().confidence) == (2, None, 0.9)


@pytest.mark.parametrize(
    ("settings", "rungs"),
    [
        ({}, (0.5,)),
        ({"grace_period": 0.25}, (0.25, 0.5)),
        ({"grace_period": 0.1, "reduction_factor": 3}, pytest.approx((0.1, 0.3, 0.9))),
        ({"grace_period": 0.333, "reduction_factor": 3}, (0.333,)),  # 0.999 is the end
        ({"grace_period": 0.25, "max_t": 0.5}, (0.25,)),
    ],
)
def test_rungs(settings: dict[str, float], rungs: tuple[float, ...]) -> None:
    assert Asha.model_validate(settings).rungs == rungs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hyperband", "'hyperband' is not a schedule"),
        ("ashaa", "did you mean 'asha'?"),
        ("3", "write full, asha, halve, race, top_two, or one with settings: {asha:"),
        ("{asha: {}, race: {}}", "is not a schedule; write"),
        ("{asha: {graceperiod: 0.5}}", "asha.graceperiod: no such setting; did you mean 'grace_period'?"),
        ("{race: {seeds: 5}}", "race.seeds: no such setting; did you mean 'min_seeds' or 'max_seeds'?"),
        (
            "{asha: {grace_period: 1}}",
            "asha.grace_period: Input should be less than 1; it is a share of a run's updates",
        ),
        ("{asha: {grace_period: 0}}", "given: 0"),
        ("{asha: {reduction_factor: 1}}", "asha.reduction_factor: Input should be greater than 1 (given: 1)"),
        ("{asha: {grace_period: 0.5, max_t: 0.4}}", "asha: grace_period 0.5 must be below max_t 0.4"),
        ("{race: {min_seeds: 0}}", "race.min_seeds: Input should be greater than or equal to 1 (given: 0)"),
        ("{race: {confidence: 0.5}}", "race.confidence: Input should be greater than 0.5"),
        ("{race: {confidence: 90}}", "race.confidence: Input should be less than 1; such as 0.9 (given: 90)"),
        ("{race: {min_seeds: 5, max_seeds: 3}}", "race: max_seeds 3 must not be below min_seeds 5"),
        ("{halve: {keep: [4, 2]}}", "halve: keep must begin with all, not 4: there is no score yet to choose by"),
        ("{halve: {keep: [all, 2, 3]}}", "halve: keep must not rise, but has 3 after 2"),
        ("{halve: {keep: [all, 2.5]}}", "halve.keep: 2.5 is not a number of arms, a share of them (below 1), or all"),
        ("{halve: {keep: []}}", "halve.keep: Tuple should have at least 1 item"),
        ("{halve: {rung: 2}}", "halve.rung: Input should be less than 1 (given: 2)"),
        ("{top_two: {budget: 25}}", "top_two.budget: Input should be less than or equal to 1; it is a share"),
        ("{top_two: {budget: 0.3, runs: 90}}", "top_two: budget and runs both limit what is trained; give one of them"),
        ("{top_two: {tolerance: 0}}", "top_two.tolerance: Input should be greater than 0; it is in points"),
        ("{asha: 3}", "asha: Input should be a valid dictionary"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_race_needs_as_many_seeds_as_it_asks_for() -> None:
    Asha().check_seeds(1)
    Race(max_seeds=5).check_seeds(5)
    Race().check_seeds(2)
    with pytest.raises(ValueError, match=r"schedule\.race\.min_seeds is 2, but the study has 1 seed;"):
        Race().check_seeds(1)
    with pytest.raises(ValueError, match=r"schedule\.race\.max_seeds is 8, but the study has 5 seeds;"):
        Race(max_seeds=8).check_seeds(5)


def test_halving_keeps_all_then_four_then_three() -> None:
    assert Halve().places(5) == ("all", 4, 3)
    assert Halve().places(1) == ("all",)
    assert Halve(keep=("all", 3)).places(5) == ("all", 3)
    Halve().check_seeds(1)
    with pytest.raises(ValueError, match=r"schedule.halve.keep asks for 3 seeds, but the study has 2 seeds; give more"):
        Halve(keep=("all", 2, 1)).check_seeds(2)


def test_places_are_numbers_or_shares_rounded_up() -> None:
    assert [places_of(places, 21) for places in ("all", 4, 30, 1 / 3, 0.2)] == [21, 4, 21, 7, 5]


def test_the_budget_of_top_two_by_default() -> None:
    assert (TopTwo().share, TopTwo(prior=("a",)).share, TopTwo(budget=0.1).share) == (0.35, 0.25, 0.1)
