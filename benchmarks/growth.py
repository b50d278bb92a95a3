"""How a study's wall time grows with cells, languages, workers and sequence length.

    python benchmarks/growth.py

Cells, languages and workers: the quickstart's encoder, three of its tasks, each point a whole run in a fresh folder,
tokenised data cached, Ray's start not counted. Sequence length: training of an encoder of `--shape` on random tokens,
all sequences of one length. Workers beyond this machine's cores are simulated by `benchmarks/scale_model.py`.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from machine import machine_line
from rich.console import Console
from training_speed import Workload, from_shape, ours

from raystilts import Study, run
from raystilts.scheduling.cluster import set_ray_environment
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Ragged

LANGUAGES = ["en", "de", "ru", "zh", "ar", "hi"]
TASKS = ["cldr_names", "cldr_units", "cldr_dates"]


def study(storage: str, seeds: int, languages: int) -> Study:
    """Two intermediates and none, three targets."""
    fields: dict[str, Any] = {
        "name": "growth",
        "encoder": {"model_name_or_path": "raystilts-mini", "pooling": "mean"},
        "intermediates": ["none", *TASKS[:2]],
        "targets": [{"task": task, "languages": LANGUAGES[:languages]} for task in TASKS],
        "seeds": list(range(seeds)),
        "hyperparameters": {
            "learning_rate": 5e-4, "head_learning_rate": 5e-3, "per_device_train_batch_size": 16,
            "num_train_epochs": 1, "max_train_samples": 256,
        },
        "evaluation": {"eval_steps": 0.5, "max_dev_samples": 48, "max_test_samples": 100},
        "storage_path": storage,
    }  # fmt: skip
    return Study.model_validate(fields)


@contextmanager
def workers(number: int) -> Iterator[None]:
    """Ray with so many slots."""
    set_ray_environment()
    import ray

    ray.init(address="local", num_cpus=number, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def wall(number: int, seeds: int, languages: int) -> tuple[int, float]:
    """Stages and seconds of one run."""
    with tempfile.TemporaryDirectory(prefix="growth-") as storage, workers(number):
        begin = perf_counter()
        outcome = run(study(storage, seeds, languages), console=Console(file=io.StringIO()))
        return outcome.finished, perf_counter() - begin


def of_length(work: Workload, length: int, rows: int) -> Workload:
    """The same encoder on sequences of one length."""
    rng = np.random.default_rng(0)
    ids = Ragged(
        rng.integers(5, work.vocabulary, rows * length).astype(np.int32), np.arange(rows + 1, dtype=np.int64) * length
    )
    return replace(work, features=Features(ids, np.arange(rows), rows, labels=rng.integers(0, 3, rows)))


def lengths(shape: str) -> None:
    """Prints sub-words a second by sequence length."""
    print("\n|sequence length|tokens/s in training|\n|---|---|")
    work, hp = from_shape(shape, 16), Hyperparameters(per_device_train_batch_size=16)
    for length in (16, 32, 64, 128, 256, 512):
        one = of_length(work, length, 64 if length < 128 else 16)
        tokens = float(one.features.input_ids.lengths.sum())
        ours(one, hp, torch.device("cpu"))
        print(
            f"|{length}|{median(tokens / ours(one, hp, torch.device('cpu'))[0].wall for _ in range(3)):.0f}|",
            flush=True,
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shape", default="tiny", help="of the encoder whose sequence length grows")
    parser.add_argument("--points", nargs="+", default=["2:1:6", "2:2:6", "2:4:6", "2:2:1", "2:2:3", "1:2:6"],
                        metavar="WORKERS:SEEDS:LANGUAGES")  # fmt: skip
    asked = parser.parse_args()
    print(machine_line(1))
    with tempfile.TemporaryDirectory(prefix="growth-cache-") as cache:
        os.environ["RAYSTILTS_CACHE_DIR"] = str(Path(cache))
        wall(2, 1, len(LANGUAGES))
        print("\n|workers|seeds|languages|stages|wall, s|s a stage and worker|\n|---|---|---|---|---|---|")
        for point in asked.points:
            number, seeds, languages = map(int, point.split(":"))
            stages, seconds = wall(number, seeds, languages)
            each = seconds * number / stages
            print(f"|{number}|{seeds}|{languages}|{stages}|{seconds:.1f}|{each:.2f}|", flush=True)
    torch.set_num_threads(1)
    lengths(asked.shape)


if __name__ == "__main__":
    main()
