from __future__ import annotations

import pytest

from raystilts.planning.schedule_advice import advice
from raystilts.schedules import Schedule
from raystilts.schedules.asha import Asha
from raystilts.schedules.race import Race
from raystilts.schedules.top_two import TopTwo


@pytest.mark.parametrize(
    ("schedule", "seeds"),
    [("full", 1), (Asha(), 3), (Asha(reduction_factor=1.5), 8), (Race(), 3), (Race(confidence=0.95, max_seeds=5), 8)],
)
def test_what_is_safe_needs_no_word(schedule: Schedule, seeds: int) -> None:
    assert advice(schedule, seeds) == []


@pytest.mark.parametrize(
    ("schedule", "seeds", "start", "measured"),
    [
        (Asha(grace_period=0.4), 3, "schedule.asha.grace_period is 0.4, below one half: ", "with one third "),
        (Asha(grace_period=0.33), 3, "schedule.asha.grace_period is 0.33, below one half: ", "with one third "),
        (Asha(grace_period=0.25), 3, "schedule.asha.grace_period is 0.25, below one third", "with one quarter "),
        (Asha(grace_period=0.1), 3, "schedule.asha.grace_period is 0.1, below one third", "with one ninth "),
        (Asha(reduction_factor=4), 3, "schedule.asha.reduction_factor is 4, above 2: ", "with factor 3 "),
        (Asha(), 2, "schedule.asha compares means of 2 seeds: ", "with 2 seeds "),
        (Asha(), 1, "schedule.asha compares means of 1 seed: ", "with 1 seed "),
        (Race(confidence=0.75), 5, "schedule.race.confidence is 0.75, below 0.9: ", "with 0.7 "),
        (Race(), 2, "schedule.race has its 2 seeds in the first round", "it is a full grid"),
        (Race(min_seeds=3, max_seeds=3), 8, "schedule.race has its 3 seeds in the first round", "it is a full grid"),
    ],
)
def test_what_is_less_than_safe_is_told_what_it_costs(
    schedule: Schedule, seeds: int, start: str, measured: str
) -> None:
    (line,) = advice(schedule, seeds)
    assert line.startswith(start)
    assert measured in line


def test_each_setting_has_its_own_line() -> None:
    lines = advice(Asha(grace_period=1 / 9, reduction_factor=3), 1)
    assert len(lines) == 3
    assert all("docs/measurements/schedules.md" in line and "63%" in line for line in lines)


def test_a_budget_below_what_was_enough_is_said() -> None:
    assert advice(TopTwo(), 4) == advice(TopTwo(prior=("a",), budget=0.25), 4) == advice(TopTwo(runs=3), 4) == []
    [line] = advice(TopTwo(budget=0.25), 4)
    assert line.startswith("schedule.top_two.budget is 0.25, below 0.35")
    [line] = advice(TopTwo(prior=("text",), budget=0.25), 4)
    assert "below 0.3, " in line
    assert "full grid with the similarity of texts alone:" in line
    assert "docs/measurements/schedules.md" in line
