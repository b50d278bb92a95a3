"""What the schedule decides, as rows of the ledger: a row a verdict, and one for each run that it stops."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from raystilts.results.attempt import read_scores
from raystilts.results.ledger import Ledger
from raystilts.results.schema import DecisionRow
from raystilts.results.writer import write_attempt, write_decision
from raystilts.scheduling.strata import Decision, Strata
from raystilts.study.keys import digest
from raystilts.study.schedule import Schedule, schedule_name
from raystilts.study.schema import Study
from raystilts.training.checkpoint import Checkpoints


def record_outcome(
    study: Study,
    strata: Strata,
    ledger: Ledger,
    results: str | Path,
    checkpoints: Checkpoints,
    decisions: Iterable[Decision],
    stopped: Iterable[str],
) -> None:
    """Keeps in the ledger what the schedule decides, and which stages that stops.

    Args:
        ledger: Of these results.
    """
    record_decisions(decisions, study, results)
    shares = {key: strata.stopped[key] for key in stopped}
    if shares:
        record_stopped(shares, schedule_name(study.schedule), ledger, results, checkpoints)


def decision_row(decision: Decision, study: Study) -> DecisionRow:
    """The row of one verdict; the same verdict from the same scores has the same row but for its time."""
    verdict = decision.verdict
    scores = {arm: None if math.isnan(score) else score for arm, score in verdict.scores.items()}
    return DecisionRow(
        study=study.name,
        target=decision.target,
        target_fraction=decision.target_fraction,
        rule=verdict.rule,
        round=verdict.round,
        parameters=json.dumps(settings(study.schedule), sort_keys=True),
        share=verdict.share,
        arms_kept=json.dumps(verdict.kept),
        arms_dropped=json.dumps(verdict.dropped),
        scores=json.dumps(scores, sort_keys=True),
        inputs_hash=digest(scores),
        decided_at=datetime.now(UTC),
    )


def settings(schedule: Schedule) -> dict[str, Any]:
    """A schedule's settings, without its name."""
    if schedule == "full":
        return {}
    [found] = schedule.model_dump(mode="json").values()
    return dict(found)


def record_decisions(decisions: Iterable[Decision], study: Study, results: str | Path) -> None:
    """Writes verdicts; one that is there already is not written again."""
    for decision in decisions:
        write_decision(results, decision_row(decision, study))


def record_stopped(
    stopped: Mapping[str, float], reason: str, ledger: Ledger, results: str | Path, checkpoints: Checkpoints
) -> None:
    """Writes a row for each stopped stage, with the scores of its last segment, and drops its training in progress.

    Args:
        stopped: Stage to the share of its budget where it stands.
        reason: The rule.
        ledger: Of these results.
    """
    last = {row.stage: row for row in ledger.rows() if row.stage in stopped}
    paused = ledger.paused()
    now = datetime.now(UTC)
    for key, share in stopped.items():
        if key not in paused:
            continue
        if last[key].status != "stopped" or last[key].rung != share:
            number = last[key].attempt + 1
            row = replace(
                paused[key], attempt=number, status="stopped", stop_reason=reason, rung=share,
                seconds=0.0, train_seconds=0.0, eval_seconds=0.0, started_at=now, ended_at=now,
            )  # fmt: skip
            scores = read_scores(results, key, paused[key].attempt)
            write_attempt(results, row, [replace(score, attempt=number) for score in scores])
        checkpoints.drop_snapshot(paused[key].train_key)
