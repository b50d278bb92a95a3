"""Rows of the ledger: what came of an attempt at a stage, and what the driver alone can say.

Workers write the rows of their own attempts. The driver writes those of stages whose worker died or whose parent
failed, a row for each verdict of the schedule, and one for each run that it stops.
"""

from __future__ import annotations

import json
import math
import platform
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from raystilts.planning.data import data_folder
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.keys import digest
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.ranking.degenerate import RunFacts, flag_run
from raystilts.results.ledger import Ledger, next_attempt, read_scores, write_attempt, write_decision
from raystilts.results.schema import DecisionRow, RunRow, ScoreRow
from raystilts.schedules import Schedule, schedule_name
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.schedule import Decision, Strata
from raystilts.study.schema import Study
from raystilts.tasks.check import constant_score
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.energy import Meter
from raystilts.training.result import Score, StageResult

#: Updates below which a loss that does not fall says nothing.
SHORTEST = 20
#: Restarts of a stage whose worker died, before the stage counts as failed.
WORKER_RESTARTS = 2
#: Why a stage counts as failed where its worker could not say so.
WORKER_DIED, PARENT_FAILED, TIMEOUT = "worker_died", "parent_failed", "timeout"
_PACKAGES = ("raystilts", "torch", "transformers", "tokenizers", "datasets", "ray", "numpy", "babel")


@cache
def versions() -> str:
    """Versions of what results can depend on, as JSON."""
    found = {name: version(name) for name in _PACKAGES}
    return json.dumps(found | {"python": platform.python_version()}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a stage.

    Attributes:
        device_share: Share of the device that it had, 0 to 1.
        meter: Counts its energy from its start.
    """

    stage: Stage
    study: Study
    encoder: EncoderInfo
    number: int
    started: datetime
    device_share: float
    meter: Meter | None = None

    def finished(self, result: StageResult) -> tuple[RunRow, list[ScoreRow]]:
        """Rows of an attempt that ended, or was paused at a rung."""
        row = replace(
            self._row("finished" if result.paused_at is None else "paused"),
            rung=result.paused_at,
            steps_done=result.steps_done,
            steps_planned=result.steps_planned,
            examples=result.examples,
            tokens=result.tokens,
            best_step=result.best_step,
            device=result.device,
            train_seconds=result.train_seconds,
            eval_seconds=result.eval_seconds,
            threads=result.threads,
            micro_batch=result.micro_batch,
            precision=result.precision,
            checkpoint=result.checkpoint,
            **self._degenerate(result),
        )
        return row, [self._score(score, result.steps_planned) for score in result.scores]

    def failed(self, reason: str, error: str) -> RunRow:
        """The row of an attempt that did not end."""
        return replace(self._row("failed"), stop_reason=reason, error=error[-2000:])

    def _row(self, status: Any) -> RunRow:
        stage, study = self.stage, self.study
        ended = datetime.now(UTC)
        hp = stage.hyperparameters
        tuned = {} if stage.tuning.is_full else {"tuning": stage.tuning.model_dump(mode="json", exclude_unset=True)}
        seconds = (ended - self.started).total_seconds()
        price = study.resources.price_per_hour(study.resources.of(stage.kind))
        return RunRow(
            stage=stage.key,
            train_key=stage.train_key,
            eval_key=stage.eval_key,
            kind=stage.kind,
            attempt=self.number,
            study=study.name,
            intermediate=stage.intermediate.label,
            intermediate_fraction=stage.intermediate_fraction,
            target=stage.target,
            target_fraction=stage.target_fraction,
            seed=stage.seed,
            hyperparameters=json.dumps(hp.model_dump(mode="json") | tuned, sort_keys=True),
            encoder=study.encoder.label,
            encoder_revision=self.encoder.revision or "",
            encoder_fingerprint=self.encoder.fingerprint,
            data_hash=stage.data_hash,
            eval_hash=stage.eval_key,
            status=status,
            steps_done=0,
            steps_planned=stage.steps,
            examples=0,
            tokens=0,
            device="",
            device_share=self.device_share,
            seconds=seconds,
            train_seconds=0.0,
            eval_seconds=0.0,
            started_at=self.started,
            ended_at=ended,
            hostname=socket.gethostname(),
            threads=0,
            micro_batch=0,
            precision="",
            versions=versions(),
            parent_stage=stage.parent,
            selection=study.selection,
            cost=None if price is None else price * seconds / 3600,
            energy_kwh=None if self.meter is None else self.meter.kwh(),
        )

    def _degenerate(self, result: StageResult) -> dict[str, Any]:
        """Whether the training failed by its process, and by which rule; not said of one that goes on."""
        if result.paused_at is not None or not result.losses:
            return {"degenerate": None, "degenerate_rule": None}
        final = [score for score in result.scores if score.is_final and score.is_main]
        flag = flag_run(
            RunFacts(
                scores=[score.value for score in final],
                losses=result.losses if len(result.losses) >= SHORTEST else (),
                **self._dev(final),
            )
        )
        return {"degenerate": flag is not None, "degenerate_rule": None if flag is None else flag.rule}

    def _dev(self, final: Sequence[Score]) -> dict[str, Any]:
        """A target stage's score on dev in the language that it trains in, and what guessing gets there."""
        if self.stage.kind != "target" or self.stage.target is None:
            return {}
        language = self.stage.tasks[0].task.train_languages[0]
        for score in final:
            if score.is_main and (score.task, score.split, score.language) == (self.stage.target, "dev", language):
                limit = self.study.evaluation.max_dev_samples
                chance = constant_score(score.task, language, limit, data_folder(self.study), score.metric)
                return {"dev_score": score.value, "dev_examples": score.examples, "chance": chance}
        return {}

    def _score(self, score: Score, steps: int) -> ScoreRow:
        stage = self.stage
        return ScoreRow(
            stage=stage.key,
            attempt=self.number,
            study=self.study.name,
            intermediate=stage.intermediate.label,
            intermediate_fraction=stage.intermediate_fraction,
            target=score.task,
            target_fraction=stage.target_fraction,
            seed=stage.seed,
            kind=stage.kind,
            step=score.step,
            share=score.step / steps if steps else 1.0,
            split=score.split,
            language=score.language,
            metric=score.metric,
            value=score.value,
            examples=score.examples,
            is_main=score.is_main,
            is_final=score.is_final,
        )


def too_long(study: Study) -> str:
    """What the row of a stage says that was past its time limit."""
    return f"longer than time_limit_s = {study.time_limit_s:g}"


def lost(study: Study, *, hung: bool) -> tuple[str, str]:
    """The reason and the words for a stage whose worker is gone.

    Args:
        hung: It was ended, past the time limit inside one update or batch. Others died too often.
    """
    if hung:
        return TIMEOUT, f"{too_long(study)}: it did not come to the end of an update, and its worker was ended"
    return WORKER_DIED, f"the worker died {WORKER_RESTARTS + 1} times (killed, or out of memory)"


def record_not_run(
    planned: Plan, graph: StageGraph, gone: Collection[str], results: str, hung: Collection[str] = ()
) -> None:
    """Writes a failed row for each stage whose worker is gone, and for each that was not run for its parent's failure.

    Args:
        gone: Stages whose worker died too often, or was ended.
        hung: Those of them that were past their time limit.
    """
    skipped = [key for key, state in graph.state.items() if state == "skipped"]
    if not gone and not skipped:
        return
    known = Ledger(results).failed()
    for key in gone:
        write_attempt(results, _row(planned, results, key, *lost(planned.study, hung=key in hung)), [])
    for key in skipped:
        # Again and again the same says nothing new.
        if key not in known or known[key].stop_reason != PARENT_FAILED:
            error = f"not run: {_failed_source(planned, graph, key)} failed"
            write_attempt(results, _row(planned, results, key, PARENT_FAILED, error), [])


def _failed_source(planned: Plan, graph: StageGraph, key: str) -> str:
    """What has failed of all that a stage starts from, in words."""
    sources = [planned.stages[one] for one in planned.stages[key].after]
    failed = [one for one in sources if graph.state.get(one.key) in ("failed", "skipped")] or sources
    if graph.state.get(failed[0].key) == "skipped":
        return _failed_source(planned, graph, failed[0].key)
    return f"the training of {failed[0].intermediate.label} (seed {failed[0].seed})"


def _row(planned: Plan, results: str, key: str, reason: str, error: str) -> RunRow:
    number = next_attempt(results, key)
    stage = planned.stages[key]
    own, encoder = planned.study_of(stage), planned.encoder_of(stage)
    attempt = Attempt(stage, own, encoder, number, datetime.now(UTC), 0.0)
    return attempt.failed(reason, error)


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
        parameters=json.dumps(schedule_parameters(study.schedule), sort_keys=True),
        share=verdict.share,
        arms_kept=json.dumps(verdict.kept),
        arms_dropped=json.dumps(verdict.dropped),
        scores=json.dumps(scores, sort_keys=True),
        inputs_hash=digest(scores),
        decided_at=datetime.now(UTC),
        encoder=decision.encoder,
    )


def schedule_parameters(schedule: Schedule) -> dict[str, Any]:
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
