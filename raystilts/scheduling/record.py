"""From a stage's outcome to rows of the ledger."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from raystilts.ranking.degenerate import RunFacts, flag_run
from raystilts.results.schema import RunRow, ScoreRow
from raystilts.study.data import data_folder
from raystilts.study.encoders import EncoderInfo
from raystilts.study.plan import Stage
from raystilts.study.schema import Study
from raystilts.tasks.constant import constant_score
from raystilts.tasks.registry import get_task
from raystilts.training.result import Score, StageResult

#: Updates below which a loss that does not fall says nothing.
SHORTEST = 20
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
    """

    stage: Stage
    study: Study
    encoder: EncoderInfo
    number: int
    started: datetime
    device_share: float

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
        hp = study.hyperparameters.resolve(stage.target or stage.intermediate.label)
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
            hyperparameters=json.dumps(hp.model_dump(mode="json"), sort_keys=True),
            encoder=study.encoder.model_name_or_path,
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
            seconds=(ended - self.started).total_seconds(),
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
        language = get_task(self.stage.target).train_languages[0]
        for score in final:
            if (score.task, score.split, score.language) == (self.stage.target, "dev", language):
                limit = self.study.evaluation.max_dev_samples
                chance = constant_score(score.task, language, limit, data_folder(self.study))
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
