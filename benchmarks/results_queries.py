"""How long the questions of a results folder take, raw and compacted.

By default 100 strata of 20 arms and 5 seeds, 10,000 stages with 800 scores each, 8 million rows in all:

    python benchmarks/results_queries.py
    python benchmarks/results_queries.py --seeds 2 --steps 2
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.results.schema import RunRow, ScoreRow, encode_run, encode_table, file_name, schema_of

TARGETS = 50
FRACTIONS = (0.1, 1.0)
ARMS = 20
_SHARED = (
    "stage", "attempt", "study", "intermediate", "intermediate_fraction", "target_fraction", "seed", "kind"
)  # fmt: skip


def main() -> None:
    """Generates a folder, then prints a line of JSON for every timing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="2,000 stages each")
    parser.add_argument("--languages", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10, help="evaluations of a stage, on two splits each")
    parser.add_argument("--repeats", type=int, default=5, help="of every question; the quickest counts")
    parser.add_argument("--folder", type=Path, help="keep the files here, and use those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "runs").exists():
            _timed("generate", lambda: _generate(folder, options), 1)
        if any((folder / "runs").iterdir()):
            _timed("raw files: ledger", lambda: len(Ledger(folder).finished()), 1)
            _timed("raw files: first question", lambda: len(Results(folder).strata("test")), 1)
            _timed("compact", lambda: compact(folder).rows["scores"], 1)
            _timed("delete raw files", lambda: clean_up(folder, older_than=0), 1)
        _questions(folder, options.repeats)


def _questions(folder: Path, repeats: int) -> None:
    """Each asked of a folder that was not open before, then of one that is."""
    questions: dict[str, Callable[[Results], int]] = {
        "runs": lambda results: len(results.runs()),
        "best of one target": lambda results: len(results.best("target3")),
        "one target in one language": lambda results: len(results.best("target3", "l07")),
        "curves of one target and language": lambda results: len(results.curves(target="target3", language="l07")),
        "scores of all strata": lambda results: len(results.strata("test")),
        "matrix of scores": lambda results: len(results.matrix()),
        "matrix of gains": lambda results: len(results.matrix("gain")),
    }
    for name, ask in questions.items():
        _timed(f"{name}, first", lambda ask=ask: ask(Results(folder)), repeats)  # type: ignore[misc]
        results = Results(folder)
        ask(results)
        _timed(f"{name}, again", lambda ask=ask, results=results: ask(results), repeats)  # type: ignore[misc]
    _timed("best of all strata", lambda: len(Results(folder).best()), repeats)
    command = [str(Path(sys.executable).with_name("raystilts")), "best", str(folder), "--json"]
    _timed("raystilts best --json, from the shell", lambda: len(json.loads(_output(command))), repeats)
    _timed("raystilts --help, from the shell", lambda: len(_output([command[0], "--help"])), repeats)


def _output(command: list[str]) -> bytes:
    # An installed package has its bytecode; a checkout has it after the first start, unless that is forbidden.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout


def _timed(name: str, work: Callable[[], int], repeats: int) -> None:
    """Prints the least wall clock and processor time (of all threads and of children) of some repeats."""
    wall, cpu, count = [], [], 0
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), _cpu_seconds()
        count = work()
        wall.append(time.perf_counter() - start)
        cpu.append(_cpu_seconds() - cpu_start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = {"what": name, "seconds": round(min(wall), 3), "cpu_seconds": round(min(cpu), 3), "count": count}
    print(json.dumps(line | {"load": round(os.getloadavg()[0], 1), "peak_mb": peak}), flush=True)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _generate(folder: Path, options: argparse.Namespace) -> int:
    """Files as the writer makes them, but without fsync."""
    for table in ("runs", "scores"):
        (folder / table).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    effects = random.normal(0.0, 0.02, (TARGETS, ARMS))
    count = 0
    for i, (target, fraction, arm, seed) in enumerate(np.ndindex(TARGETS, len(FRACTIONS), ARMS, options.seeds)):
        run = _run(i, target, FRACTIONS[fraction], arm, seed)
        scores = _scores(run, float(0.6 + effects[target, arm] + random.normal(0.0, 0.01)), random, options)
        name = file_name(run.stage, run.attempt)
        extra = {"stage": run.stage, "attempt": str(run.attempt)}
        (folder / "scores" / name).write_bytes(encode_table(scores, extra, small=True))
        (folder / "runs" / name).write_bytes(encode_run(run))
        count += scores.num_rows
    return count


def _run(i: int, target: int, fraction: float, arm: int, seed: int) -> RunRow:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=i)
    stage = hashlib.sha256(str(i).encode()).hexdigest()[:32]
    return RunRow(
        stage=stage,
        train_key=stage,
        eval_key="0" * 32,
        kind="target",
        attempt=1,
        study="benchmark",
        intermediate=f"task{arm}" if arm else "none",
        intermediate_fraction=1.0 if arm else None,
        target=f"target{target}",
        target_fraction=fraction,
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


def _scores(run: RunRow, score: float, random: np.random.Generator, options: argparse.Namespace) -> pa.Table:
    """Scores by step, split and language: a curve that rises to `score`, with noise."""
    splits, languages = ("dev", "test"), ["en", *(f"l{i:02d}" for i in range(1, options.languages))]
    steps = np.arange(1, options.steps + 1) * 1000 // options.steps
    shape = (len(steps), len(splits), len(languages))
    step, split, language = (index.ravel() for index in np.indices(shape))
    values = score - 0.3 * np.exp(-steps[step] / 200) - 0.002 * language + random.normal(0.0, 0.005, len(step))
    row = asdict(
        ScoreRow(
            **{name: getattr(run, name) for name in _SHARED},
            target=run.target or "",
            step=0, share=0.0, split="", language="", metric="accuracy", value=0.0, examples=1000,
            is_main=True, is_final=False,
        )
    )  # fmt: skip
    columns = {name: [value] * len(step) for name, value in row.items()}
    columns |= {
        "step": steps[step],
        "share": steps[step] / 1000,
        "split": np.array(splits)[split],
        "language": np.array(languages)[language],
        "value": values.clip(0.0, 1.0),
        "is_final": step == len(steps) - 1,
    }
    return pa.Table.from_pydict(columns, schema=schema_of("scores"))


if __name__ == "__main__":
    main()
