"""Time of an update, and peak memory of a stage, of adapters beside our own training of the whole encoder.

    OMP_NUM_THREADS=2 RAYSTILTS_DATA_DIR=DATA python benchmarks/adapters.py E5_SMALL --tunings full lora bitfit

Each stage is a process of its own that trains XNLI's English data and scores one language; they take turns. The time of
an update is the median interval between two, on the clock and of processor time; peak memory is the most that the
process held (VmHWM), the interpreter and its libraries included. Beside the medians stand the ratios to the first
tuning within each round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from machine import Timing, machine_line, now

from raystilts import Study, plan
from raystilts.training.stage import run_stage


def study(asked: argparse.Namespace, tuning: str) -> Study:
    """One target from the pretrained encoder, evaluated at its end alone."""
    return Study.model_validate(
        {
            "name": "adapters",
            "encoder": {"model_name_or_path": asked.encoder},
            "intermediates": ["none"],
            "targets": [{"task": asked.task, "languages": ["de"], "tuning": yaml.safe_load(tuning)}],
            "seeds": [0],
            "hyperparameters": {
                "max_train_samples": asked.batch * asked.updates,
                "max_steps": asked.updates,
                "per_device_train_batch_size": asked.batch,
                "load_best_model_at_end": False,
            },
            "evaluation": {"eval_steps": 1.0e6, "max_dev_samples": 32, "max_test_samples": 32},
            "keep_targets": "all",
        }
    )


def peak_memory() -> float:
    """The most that this process has held, in MB of 1,024 KB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def measure(asked: argparse.Namespace, tuning: str) -> dict[str, float]:
    """Runs one stage in this process."""
    planned = plan(study(asked, tuning))
    [stage] = planned.of_kind("target")
    times: list[Timing] = []
    device = torch.device("cpu")

    def stamp() -> bool:
        times.append(now(device))
        return False

    with tempfile.TemporaryDirectory() as folder:
        result = run_stage(
            stage, planned.study, folder, threads=asked.threads, encoder=planned.encoder, interrupted=stamp
        )
        kept = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    # The first stamps are those of the updates; those of the evaluation follow.
    taken = [later.since(one) for one, later in pairwise(times[: asked.updates - 1])][1:]
    return {
        "update": median(one.wall for one in taken),
        "cpu": median(one.cpu for one in taken),
        "peak": peak_memory(),
        "kept": kept / 1e6,
        "tokens": result.tokens / asked.updates,
    }


def apart(asked: argparse.Namespace, tuning: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", tuning]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    parser.add_argument("--tunings", nargs="+", default=["full", "lora"], help="as in a study file, in YAML")
    parser.add_argument("--task", default="xnli")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        print(json.dumps(measure(asked, asked.one)))
        return
    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(asked.rounds):
        rounds.append({tuning: apart(asked, tuning) for tuning in asked.tunings})
        print(rounds[-1], file=sys.stderr, flush=True)
    print(machine_line(asked.threads))
    first: dict[str, Any] = rounds[0][asked.tunings[0]]
    print(f"{asked.task}, batches of {asked.batch}, {first['tokens']:.0f} sub-words an update, {asked.rounds} rounds\n")
    print("|tuning|update, s|ratio|update, CPU s|ratio|peak memory, MB|ratio|kept, MB|")
    print("|---|---|---|---|---|---|---|---|")
    for tuning in asked.tunings:
        own = [one[tuning] for one in rounds]
        line = f"|{tuning}"
        for name in ("update", "cpu", "peak"):
            ratios = sorted(one[tuning][name] / one[asked.tunings[0]][name] for one in rounds)
            spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            line += f"|{median(one[name] for one in own):.4g}|{spread}"
        print(f"{line}|{own[0]['kept']:.2f}|")


if __name__ == "__main__":
    main()
