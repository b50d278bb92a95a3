"""How long the questions of a results folder take, raw and compacted.

By default 10,000 stages with 800 scores each, 8 million rows in all:

    python benchmarks/results_queries.py
    python benchmarks/results_queries.py --stages 500 --steps 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from raystilts.results import Ledger, Results, RunRow, ScoreRow
from raystilts.results.compact import clean_up, compact
from raystilts.results.schema import encode_run, encode_scores, file_name

TARGETS = 9
FRACTIONS = (0.01, 0.1, 1.0)
ARMS = 13


def main() -> None:
    """Generates a folder, then prints a line of JSON for every timing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stages", type=int, default=10_000)
    parser.add_argument("--languages", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10, help="evaluations of a stage")
    parser.add_argument("--folder", type=Path, help="keep the files here (default: temporary)")
    parser.add_argument("--raw-queries", action="store_true", help="query raw files too (slow)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        _timed("generate", lambda: _generate(folder, options))
        _timed("ledger of raw files", lambda: len(Ledger(folder).finished()))
        if options.raw_queries:
            _queries(folder, "raw files")
        _timed("compact", lambda: compact(folder).rows["scores"])
        _timed("delete raw files", lambda: clean_up(folder, older_than=0))
        _timed("ledger, compacted", lambda: len(Ledger(folder).finished()))
        _queries(folder, "compacted")


def _queries(folder: Path, layout: str) -> None:
    results = Results(folder)
    for again in ("first", "again"):
        for name, ask in (
            ("runs", lambda: len(results.runs())),
            ("stratum", lambda: len(results.stratum_scores("target0", 1.0, "test").arms)),
            ("matrix of gains", lambda: len(results.matrix("gain"))),
        ):
            _timed(f"{name}, {layout}, {again}", ask)
    _timed(f"scores, {layout}", lambda: len(results.scores()))


def _timed(name: str, work: Callable[[], int]) -> None:
    start, cpu_start = time.perf_counter(), time.process_time()
    count = work()
    seconds = round(time.perf_counter() - start, 3)
    cpu = round(time.process_time() - cpu_start, 3)
    line = {"what": name, "seconds": seconds, "cpu_seconds": cpu, "count": count}
    print(json.dumps(line), flush=True)


def _generate(folder: Path, options: argparse.Namespace) -> int:
    """Files as the writer makes them, but without fsync."""
    for table in ("runs", "scores"):
        (folder / table).mkdir(parents=True, exist_ok=True)
    count = 0
    for i in range(options.stages):
        run = _run(i)
        scores = list(_scores(run, options.languages, options.steps))
        name = file_name(run.stage, run.attempt)
        (folder / "scores" / name).write_bytes(encode_scores(run.stage, run.attempt, scores))
        (folder / "runs" / name).write_bytes(encode_run(run))
        count += len(scores)
    return count


def _run(i: int) -> RunRow:
    rest, target = divmod(i, TARGETS)
    rest, fraction = divmod(rest, len(FRACTIONS))
    seed, arm = divmod(rest, ARMS)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i)
    return RunRow(
        stage=f"{i:032x}",
        train_key=f"{i:032x}",
        eval_key="0" * 32,
        kind="target",
        attempt=1,
        study="benchmark",
        intermediate=f"task{arm}" if arm else "none",
        intermediate_fraction=1.0 if arm else None,
        target=f"target{target}",
        target_fraction=FRACTIONS[fraction],
        seed=seed,
        hyperparameters='{"learning_rate": 1e-05}',
        encoder="FacebookAI/xlm-roberta-base",
        encoder_revision="0" * 40,
        encoder_fingerprint="0" * 64,
        data_hash="0" * 64,
        eval_hash="0" * 64,
        status="finished",
        steps_done=1000,
        steps_planned=1000,
        examples=32_000,
        tokens=4_000_000,
        device="cpu",
        device_share=1.0,
        seconds=100.0,
        train_seconds=80.0,
        eval_seconds=20.0,
        started_at=start,
        ended_at=start + timedelta(seconds=100),
        hostname="host",
        threads=1,
        micro_batch=32,
        precision="bf16",
        versions='{"torch": "2", "transformers": "5"}',
        selection="english_dev",
    )


def _scores(run: RunRow, languages: int, steps: int) -> Iterator[ScoreRow]:
    for step in range(1, steps + 1):
        for split in ("dev", "test"):
            for language in range(languages):
                yield ScoreRow(
                    stage=run.stage,
                    attempt=run.attempt,
                    study=run.study,
                    intermediate=run.intermediate,
                    intermediate_fraction=run.intermediate_fraction,
                    target=run.target or "",
                    target_fraction=run.target_fraction,
                    seed=run.seed,
                    kind=run.kind,
                    step=step * 1000 // steps,
                    share=step / steps,
                    split=split,
                    language=f"l{language}",
                    metric="accuracy",
                    value=(hash((run.stage, step, language)) % 10_000) / 10_000,
                    examples=1000,
                    is_main=True,
                    is_final=step == steps,
                )


if __name__ == "__main__":
    main()
