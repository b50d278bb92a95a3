"""Optuna's sampler on top of the ledger: no trial twice, nothing forgotten over a restart."""

from __future__ import annotations

import math
from typing import Any

import pytest

from raystilts.study.search import Range, Search, Space, Value
from raystilts.tuning.sampler import Observed, TrialSampler, values_key

SPACE: dict[str, Any] = {"learning_rate": {"loguniform": [1e-6, 1e-2]}, "num_train_epochs": {"int": [1, 5]}}


def search(**more: Any) -> Search:
    return Search.model_validate({"space": SPACE} | more)


def score(values: dict[str, Value]) -> float:
    """Best at 1e-4 and many epochs."""
    rate, epochs = float(values["learning_rate"]), float(values["num_train_epochs"])
    return 1 - abs(math.log10(rate) + 4) / 4 + 0.01 * epochs


def tune(asked: Search, trials: int, known: list[Observed]) -> list[Observed]:
    sampler = TrialSampler(asked.space, asked, known)
    for _ in range(trials):
        values = sampler.ask()
        assert values is not None
        known = [*known, Observed(values, "finished", score(values))]
        sampler.tell(known[-1])
    return known


def test_tpe_does_better_than_random_values() -> None:
    def later(sampler: str) -> float:
        scores = [t.value or 0.0 for seed in range(4) for t in tune(search(sampler=sampler, seed=seed), 30, [])[15:]]
        return sum(scores) / len(scores)

    assert later("tpe") > later("random") + 0.05


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_restarted_search_repeats_nothing(sampler: str) -> None:
    asked = search(sampler=sampler)
    known: list[Observed] = []
    for _ in range(6):  # a restart every third trial
        known = tune(asked, 3, known)
    keys = [values_key(trial.values) for trial in known]
    assert len(set(keys)) == len(keys) == 18


def test_a_restart_learns_from_what_is_known() -> None:
    known = [
        Observed({"learning_rate": 10.0**-e, "num_train_epochs": 3}, "finished", 1 - abs(e - 4) / 4)
        for e in (2.2, 2.6, 3, 3.4, 3.8, 4, 4.2, 4.6, 5, 5.4, 5.8)
    ]
    sampler = TrialSampler(search().space, search(), known)
    asked = [sampler.ask() for _ in range(5)]
    assert all(v is not None and 1e-5 < float(v["learning_rate"]) < 1e-3 for v in asked)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_finite_space_is_exhausted_and_no_more(sampler: str) -> None:
    space: Space = {
        "lr_scheduler_type": Range.model_validate({"choice": ["linear", "cosine"]}),
        "num_train_epochs": Range.model_validate({"int": [1, 3]}),
    }
    asked = Search(space=space, sampler=sampler)
    one = TrialSampler(space, asked)
    found = [one.ask() for _ in range(7)]
    assert found[-1] is None
    assert len({values_key(v) for v in found if v is not None}) == 6


def test_failed_stopped_and_promoted_trials_are_taken() -> None:
    one = TrialSampler(search().space, search())
    values = [one.ask() for _ in range(3)]
    assert values[0] is not None
    assert values[1] is not None
    assert values[2] is not None
    one.tell(Observed(values[0], "failed", None))
    one.tell(Observed(values[1], "paused", 0.4, 0.5))
    one.tell(Observed(values[1], "finished", 0.6))
    one.tell(Observed(values[2], "finished", math.nan))
    assert [t.state.name for t in one.study.trials] == ["PRUNED", "PRUNED", "PRUNED", "COMPLETE"]


@pytest.mark.parametrize("restarted", [False, True])
def test_tpe_turns_away_from_values_that_fail(restarted: bool) -> None:
    """Told as failed they would be left out, and TPE would propose nearly nothing else (25 to 30 of the last 30)."""
    asked = search(sampler="tpe", space={"learning_rate": {"loguniform": [1e-6, 1e-2]}}, num_samples=60)
    known: list[Observed] = []
    sampler = TrialSampler(asked.space, asked)
    for number in range(60):
        if restarted and number % 20 == 0:
            sampler = TrialSampler(asked.space, asked, known)
        values = sampler.ask()
        assert values is not None
        rate = float(values["learning_rate"])
        diverged = rate > 1e-4
        value = None if diverged else -abs(math.log10(rate / 3e-5))
        known.append(Observed(values, "failed" if diverged else "finished", value))
        sampler.tell(known[-1])
    assert sum(trial.state == "failed" for trial in known[-30:]) <= 15


def test_nothing_is_learnt_from_a_lost_worker() -> None:
    asked = search(sampler="tpe")
    sampler = TrialSampler(asked.space, asked)
    values = sampler.ask()
    assert values is not None
    sampler.tell(Observed(values, "lost", None))
    again = TrialSampler(asked.space, asked, [Observed(values, "lost", None)])
    for study in (sampler.study, again.study):
        assert [trial.state.name for trial in study.trials] == ["FAIL"]
