"""The trials of a search, without Ray: how many, which go on, and what a restart remembers."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest

from raystilts.scheduling.trial_board import Report, TrialBoard, Work
from raystilts.study.schema import Study
from raystilts.tuning.trials import Unit, units


def study(**search: Any) -> Study:
    space = {"learning_rate": {"loguniform": [1e-5, 1e-2]}, "per_device_train_batch_size": {"choice": [8, 16, 32]}}
    return Study.model_validate(
        {
            "name": "tune",
            "intermediates": ["none", "cldr_units"],
            "targets": [{"task": "cldr_dates", "languages": ["en", "de"]}],
            "seeds": [0],
            "search": {"space": space, "num_samples": 9, **search},
        }
    )


def score(work: Work) -> float:
    """Best at 1e-3; what is seen at a rung is a little lower."""
    return 0.9 - abs(math.log10(float(work.values["learning_rate"])) + 3) / 4 - 0.05 * (1 - work.until)


class Driver:
    """Takes work and ends it, as many at a time as it has slots, and keeps what a ledger would."""

    def __init__(self, one: Study, slots: int = 2) -> None:
        self.study, self.slots = one, slots
        self.units = units(one)
        self.reports: dict[Unit, list[Report]] = {unit: [] for unit in self.units}
        self.parents: set[str] = set()
        self.done: list[tuple[str, float]] = []

    def run(self, ends: int = 10**6) -> bool:
        """A driver's life of so many ended pieces of work, with those that run then lost; True at the end."""
        board = TrialBoard(self.study, self.units, self.reports, frozenset(self.parents))
        running: list[Work] = []
        for _ in range(ends):
            while len(running) < self.slots and (work := board.take()) is not None:
                running.append(work)
            if not running:
                assert board.ended
                return True
            self._end(board, running.pop(0))
        return False

    def _end(self, board: TrialBoard, work: Work) -> None:
        if work.is_parent:
            self.parents.add(work.stage.key)
            board.end(work, 1.0, 1.0)
            return
        self.done.append((work.trial, work.until))
        self.reports[work.unit].append(Report(work.values, work.until, score(work)))
        board.end(work, work.until, score(work))


def trials(driver: Driver) -> dict[Unit, set[str]]:
    return {unit: {str(sorted(report.values.items())) for report in driver.reports[unit]} for unit in driver.units}


@pytest.mark.parametrize("schedule", ["full", "asha", {"asha": {"grace_period": 0.25}}])
@pytest.mark.parametrize("slots", [1, 2, 5])
def test_every_unit_gets_its_trials_and_some_finish(schedule: Any, slots: int) -> None:
    driver = Driver(study(schedule=schedule), slots)
    assert driver.run()
    assert [len(found) for found in trials(driver).values()] == [9, 9]
    assert max(Counter(driver.done).values()) == 2  # once in each unit
    finished = sum(until == 1.0 for _, until in driver.done)
    assert finished == 18 if schedule == "full" else 2 <= finished < 18


@pytest.mark.parametrize("schedule", ["full", "asha"])
@pytest.mark.parametrize("life", [1, 2, 3, 7])
def test_a_search_that_is_killed_again_and_again_has_as_many_trials_and_repeats_none(schedule: str, life: int) -> None:
    driver = Driver(study(schedule=schedule))
    for _ in range(200):
        if driver.run(life):
            break
    assert driver.run()
    assert [len(found) for found in trials(driver).values()] == [9, 9]
    assert max(Counter(driver.done).values()) <= 2


def test_asha_finishes_the_best_trial_it_has_seen() -> None:
    driver = Driver(study(schedule="asha", num_samples=16))
    driver.run()
    for unit in driver.units:
        reports = driver.reports[unit]
        rung = max((r for r in reports if r.share < 1), key=lambda r: r.score or 0)
        assert any(r.share == 1.0 and r.values == rung.values for r in reports)


def test_stopped_trials_are_those_that_rest() -> None:
    one = study(schedule="asha")
    driver = Driver(one)
    driver.run()
    board = TrialBoard(one, driver.units, driver.reports)
    assert board.ended
    finished = Counter(until for _, until in driver.done)[1.0]
    assert len(board.stopped()) == 18 - finished
    assert board.counts == {"asked": 18, "ended": finished, "running": 0, "resting": 18 - finished}


def test_failed_trials_count_and_do_not_come_again() -> None:
    one = study(schedule="asha", num_samples=6)
    board = TrialBoard(one, units(one), {})
    taken = []
    while (work := board.take()) is not None:
        taken.append(work.trial)
        board.end(work, work.until, None)
    assert board.ended
    assert len(taken) == 12
    assert len(board.failed) == 12
    assert board.stopped() == []


def test_no_trial_starts_when_the_budget_is_spent() -> None:
    one = study(budget_hours=1.0)
    board = TrialBoard(one, units(one), {})
    for _ in range(4):
        work = board.take()
        assert work is not None
        board.end(work, 1.0, 0.5, hours=0.3)
    assert board.take() is None
    assert board.ended


def test_a_joint_search_trains_each_intermediate_once_and_before_its_trials() -> None:
    one = study(joint=True, num_samples=12)
    assert [unit.name for unit in units(one)] == ["cldr_dates"]
    driver = Driver(one, slots=3)
    driver.run(5)
    assert driver.run()
    assert len(driver.parents) == 1
    arms = Counter(report.values["intermediate"] for report in driver.reports[driver.units[0]])
    assert set(arms) == {"none", "cldr_units"}
    assert sum(arms.values()) == 12


def test_trials_fail_with_the_intermediate_that_they_start_from() -> None:
    one = study(joint=True, num_samples=8)
    board = TrialBoard(one, units(one), {})
    while (work := board.take()) is not None:
        board.end(work, 1.0, None if work.is_parent else 0.5)
    assert board.ended
    assert {work.values["intermediate"] for work in board.failed} == {"cldr_units"}
