"""What the ledger keeps of decisions, and what a fresh driver reads from it."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from raystilts.planning.stages import Plan
from raystilts.results.ledger import Ledger, write_attempt
from raystilts.results.results import Results
from raystilts.schedules.base import Verdict
from raystilts.scheduling.record import Attempt, decision_row, record_decisions, record_stopped
from raystilts.scheduling.schedule import Decision, Strata, known_curves
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.result import Score, StageResult

from .examples import study
from .test_strata import drive, key_of, planned


def result(step: int, values: dict[int, float], paused_at: float | None = None, best: int = 4) -> StageResult:
    """Of a stage of four updates: English dev by step, and German dev of the final weights."""
    scores = [
        Score("cldr_units", "dev", "en", "accuracy", value, at, 4, True, paused_at is None and at == best)
        for at, value in values.items()
    ]
    if paused_at is None:
        scores.append(Score("cldr_units", "dev", "de", "accuracy", 0.9, best, 4, True, True))
        scores.append(Score("cldr_units", "test", "en", "accuracy", 0.8, best, 4, True, True))
    return StageResult(
        scores=tuple(scores), dev_score=values[step], losses=(), steps_done=step, steps_planned=4, best_step=best,
        examples=step * 4, tokens=step * 10, micro_batch=4, train_seconds=1.0, eval_seconds=1.0, threads=1,
        device="cpu", precision="fp32", trained=True, checkpoint=None, paused_at=paused_at,
    )  # fmt: skip


def write(one: Plan, results: Path, key: str, number: int, found: StageResult) -> None:
    attempt = Attempt(one.stages[key], one.study, one.encoder, number, datetime.now(UTC), 1.0)
    write_attempt(results, *attempt.finished(found))


@pytest.fixture
def one(tmp_path: Path) -> Plan:
    return planned(tmp_path, "asha", targets=[{"task": "cldr_units", "languages": ["en", "de"]}])


def test_rows_of_a_pause(one: Plan, tmp_path: Path) -> None:
    key = key_of(one, "cldr_same")
    write(one, tmp_path, key, 1, result(2, {1: 0.1, 2: 0.3}, paused_at=0.5))
    ledger = Ledger(tmp_path)
    assert ledger.finished() == ledger.failed() == ledger.stopped() == {}
    row = ledger.paused()[key]
    assert (row.status, row.rung, row.steps_done, row.steps_planned, row.degenerate) == ("paused", 0.5, 2, 4, None)
    frame = Results(tmp_path).dev_scores()
    assert frame[["step", "value", "is_final"]].to_numpy().tolist() == [[1, 0.1, False], [2, 0.3, False]]
    assert Results(tmp_path).scores().empty
    assert Results(tmp_path).matrix().empty


def test_curves_are_the_means_that_training_saw(one: Plan, tmp_path: Path) -> None:
    paused, ended, failed = key_of(one, "cldr_same"), key_of(one, "cldr_names"), key_of(one, "cldr_dates")
    write(one, tmp_path, paused, 1, result(2, {1: 0.1, 2: 0.3}, paused_at=0.5))
    write(one, tmp_path, ended, 1, result(2, {1: 0.2, 2: 0.4}, paused_at=0.5))
    write(one, tmp_path, ended, 2, result(4, {1: 0.2, 2: 0.4, 3: 0.7, 4: 0.5}, best=3))
    attempt = Attempt(one.stages[failed], one.study, one.encoder, 1, datetime.now(UTC), 1.0)
    write_attempt(tmp_path, attempt.failed("nan", "no"), [])
    curves = known_curves(one, tmp_path)
    assert curves.keys() == {paused, ended}
    assert (curves[paused].steps, curves[paused].final) == ({1: 0.1, 2: 0.3}, None)
    assert (curves[ended].steps, curves[ended].final) == ({1: 0.2, 2: 0.4, 3: 0.7, 4: 0.5}, 0.7)
    assert not curves[ended].at_chance


def test_a_finished_run_at_chance_is_known_as_one_in_the_next_run(one: Plan, tmp_path: Path) -> None:
    rules = {key_of(one, "cldr_same"): "chance", key_of(one, "cldr_names"): "nan", key_of(one, "cldr_dates"): None}
    for key, rule in rules.items():
        attempt = Attempt(one.stages[key], one.study, one.encoder, 1, datetime.now(UTC), 1.0)
        row, scores = attempt.finished(result(4, {1: 0.2, 2: 0.4, 3: 0.7, 4: 0.5}, best=3))
        write_attempt(tmp_path, replace(row, degenerate_rule=rule), scores)
    curves = known_curves(one, tmp_path)
    assert [curves[key].at_chance for key in rules] == [True, False, False]
    assert [curves[key].final for key in rules] == pytest.approx([0.7, math.nan, 0.7], nan_ok=True)


def test_a_curve_has_the_steps_at_which_every_selecting_language_was_scored(tmp_path: Path) -> None:
    targets = [{"task": "cldr_units", "languages": ["en", "de"]}]
    both = planned(tmp_path, "asha", targets=targets, selection="target_dev")
    key = key_of(both, "cldr_same")
    write(both, tmp_path, key, 1, result(4, {1: 0.1, 2: 0.3, 3: 0.7, 4: 0.5}, best=3))
    curve = known_curves(both, tmp_path)[key]
    assert (curve.steps, curve.final) == ({3: (0.7 + 0.9) / 2}, (0.7 + 0.9) / 2)


def test_a_stopped_run_keeps_its_last_scores(one: Plan, tmp_path: Path) -> None:
    key = key_of(one, "cldr_same")
    checkpoints, ledger = Checkpoints(tmp_path / "checkpoints"), Ledger(tmp_path)
    snapshot = checkpoints.snapshot(one.stages[key].train_key)
    snapshot.mkdir(parents=True)
    write(one, tmp_path, key, 1, result(2, {1: 0.1, 2: 0.3}, paused_at=0.5))
    for _ in range(2):  # a driver that starts anew writes it once
        record_stopped({key: 0.5, key_of(one, "cldr_choice"): 0.5}, "asha", ledger, tmp_path, checkpoints)
    assert not snapshot.exists()
    [paused, stopped] = Ledger(tmp_path).rows()
    assert (stopped.status, stopped.stop_reason, stopped.rung, stopped.steps_done) == ("stopped", "asha", 0.5, 2)
    assert (paused.status, paused.seconds >= 0, stopped.seconds, stopped.attempt) == ("paused", True, 0.0, 2)
    curves = Results(tmp_path).curves()
    assert curves[["status", "rung", "step", "value", "is_final"]].to_numpy().tolist() == [
        ["stopped", 0.5, 1, 0.1, False], ["stopped", 0.5, 2, 0.3, False],
    ]  # fmt: skip
    assert known_curves(one, tmp_path)[key].steps == {1: 0.1, 2: 0.3}
    write(one, tmp_path, key, 3, result(4, {1: 0.1, 2: 0.3, 3: 0.3, 4: 0.6}))
    assert Ledger(tmp_path).stopped() == {}, "another schedule has finished it"


def test_a_decision_is_written_once(one: Plan, tmp_path: Path) -> None:
    strata = Strata(one)
    drive(one, strata, random.Random(0))
    decisions = strata.take_decisions()
    for _ in range(2):
        record_decisions(decisions, one.study, tmp_path)
    [row] = Results(tmp_path).decisions().to_dict("records")
    assert (row["target"], row["target_fraction"], row["rule"], row["round"], row["share"]) == (
        "cldr_units", 1.0, "asha", 1, 0.5,
    )  # fmt: skip
    assert json.loads(row["arms_kept"]) == ["cldr_names", "cldr_dates"]
    assert json.loads(row["arms_dropped"]) == ["cldr_same", "cldr_choice"]
    assert json.loads(row["scores"]) == dict(decisions[0].verdict.scores)
    assert json.loads(row["parameters"]) == {
        "grace_period": 0.5, "reduction_factor": 2.0, "max_t": 1.0, "finish_stopped": False,
    }  # fmt: skip


def test_scores_that_are_missing_are_null(tmp_path: Path) -> None:
    verdict = Verdict("race", 1, 1.0, ("a",), ("b",), {"a": 0.5, "b": math.nan})
    row = decision_row(Decision("cldr_units", 0.25, verdict), study(tmp_path, seeds=[0, 1], schedule="race"))
    assert json.loads(row.scores) == {"a": 0.5, "b": None}
    assert json.loads(row.parameters) == {"min_seeds": 2, "max_seeds": None, "confidence": 0.9}
