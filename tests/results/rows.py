from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from raystilts.results.ledger import write_attempt
from raystilts.results.schema import RunRow, ScoreRow

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def run_row(stage: str, **values: Any) -> RunRow:
    attempt = values.get("attempt", 1)
    defaults: dict[str, Any] = {
        "stage": stage,
        "train_key": f"train-{stage}",
        "eval_key": "eval",
        "kind": "target",
        "attempt": attempt,
        "study": "study",
        "intermediate": "none",
        "target": "xnli",
        "target_fraction": 1.0,
        "seed": 1,
        "hyperparameters": "{}",
        "encoder": "encoder",
        "encoder_revision": "1",
        "encoder_fingerprint": "f",
        "data_hash": "d",
        "eval_hash": "e",
        "status": "finished",
        "steps_done": 10,
        "steps_planned": 10,
        "examples": 80,
        "tokens": 800,
        "device": "cpu",
        "device_share": 1.0,
        "seconds": 2.0,
        "train_seconds": 1.5,
        "eval_seconds": 0.5,
        "started_at": START,
        "ended_at": START + timedelta(minutes=attempt),
        "hostname": "host",
        "threads": 1,
        "micro_batch": 8,
        "precision": "float32",
        "versions": "{}",
        "selection": "english_dev",
    }
    return RunRow(**(defaults | values))


def score_rows(run: RunRow, values: dict[str, float], **more: Any) -> list[ScoreRow]:
    """Final main test scores by language."""
    defaults: dict[str, Any] = {
        "stage": run.stage,
        "attempt": run.attempt,
        "study": run.study,
        "intermediate": run.intermediate,
        "intermediate_fraction": run.intermediate_fraction,
        "target": run.target or run.intermediate,
        "target_fraction": run.target_fraction,
        "seed": run.seed,
        "kind": run.kind,
        "step": 10,
        "share": 1.0,
        "split": "test",
        "metric": "accuracy",
        "examples": 100_000,  # so many that their luck is small beside that of the seeds: test_items.py is about it
        "is_main": True,
        "is_final": True,
    }
    return [
        ScoreRow(**(defaults | {"language": language, "value": value} | more)) for language, value in values.items()
    ]


def write(results: str | Path, stage: str, values: dict[str, float], **more: Any) -> RunRow:
    """Writes one attempt with final main test scores."""
    run = run_row(stage, **more)
    return write_attempt(results, run, score_rows(run, values))


def write_grid(results: str | Path, arms: Sequence[tuple[str, float | None]], seeds: Sequence[int]) -> None:
    """Arm i, seed s scores (0.5 + 0.1 i + 0.01 s) in English and 0.2 less in German."""
    for i, (name, fraction) in enumerate(arms):
        for seed in seeds:
            score = round(0.5 + 0.1 * i + 0.01 * seed, 6)
            write(
                results,
                f"{name}{i}.{seed}",
                {"en": score, "de": round(score - 0.2, 6)},
                intermediate=name,
                intermediate_fraction=fraction,
                seed=seed,
            )
