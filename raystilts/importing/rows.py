"""From a table with known columns to ledger rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from raystilts.results.schema import RunRow, ScoreRow

STUDY = "import"
#: What one run is known by; a stage of the ledger each.
CELL = ["encoder", "intermediate", "intermediate_fraction", "target", "target_fraction", "hyperparameters", "seed"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from.

    Attributes:
        digest: SHA-256 of the file.
        source: File name, digest and command, see `RunRow.source`.
        time: When the file was last changed.
    """

    digest: str
    source: str
    time: datetime


def ledger_rows(frame: pd.DataFrame, main: dict[str, str], origin: Origin) -> tuple[list[RunRow], list[ScoreRow]]:
    """A run for each cell, and its scores.

    Args:
        frame: Columns of `CELL`, and split, language, metric, value (a fraction of 1), step, examples.
        main: Target to its main metric.
    """
    runs: list[RunRow] = []
    scores: list[ScoreRow] = []
    for cell, rows in frame.groupby(CELL, dropna=False, sort=False):
        known = dict(zip(CELL, (_plain(value) for value in cell), strict=True))
        run = _run(known, rows, origin)
        runs.append(run)
        if run.status == "finished":
            scores += _scores(run, rows.dropna(subset=["value"]), main)
    return runs, scores


def _plain(value: Hashable) -> Any:
    return None if pd.isna(value) else value  # type: ignore[call-overload]


def _run(cell: dict[str, Any], rows: pd.DataFrame, origin: Origin) -> RunRow:
    key = hashlib.sha256(json.dumps(cell, sort_keys=True, default=str).encode()).hexdigest()[:32]
    steps = int(rows["step"].max())
    finished = bool(rows["value"].notna().any())
    return RunRow(
        stage=key,
        train_key=key,
        eval_key=origin.digest[:32],
        kind="target",
        attempt=1,
        study=STUDY,
        **(cell | {"seed": int(cell["seed"])}),
        encoder_revision="",
        encoder_fingerprint="",
        data_hash="",
        eval_hash=origin.digest[:32],
        status="finished" if finished else "failed",
        stop_reason=None if finished else "no_value",
        error=None if finished else "the imported table has no value for this run",
        steps_done=steps,
        steps_planned=steps,
        examples=0,
        tokens=0,
        device="",
        device_share=0.0,
        seconds=0.0,
        train_seconds=0.0,
        eval_seconds=0.0,
        started_at=origin.time,
        ended_at=origin.time,
        hostname="",
        threads=0,
        micro_batch=0,
        precision="",
        versions="{}",
        selection="",
        source=origin.source,
    )


def _scores(run: RunRow, rows: pd.DataFrame, main: dict[str, str]) -> Iterable[ScoreRow]:
    columns = ("split", "language", "metric", "value", "step", "examples")
    last = max(rows["step"])
    for split, language, metric, value, step, examples in zip(*(rows[name].tolist() for name in columns), strict=True):
        yield ScoreRow(
            stage=run.stage,
            attempt=run.attempt,
            study=run.study,
            intermediate=run.intermediate,
            intermediate_fraction=run.intermediate_fraction,
            target=str(run.target),
            target_fraction=run.target_fraction,
            seed=run.seed,
            kind=run.kind,
            step=int(step),
            share=step / last if last else 1.0,
            split=split,
            language=language,
            metric=metric,
            value=value,
            examples=int(examples),
            is_main=metric == main[str(run.target)],
            is_final=step == last,
        )
