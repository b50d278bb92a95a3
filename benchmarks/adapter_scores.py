"""Zero-shot scores of adapters beside training all of the encoder: the same examples, order and seeds, three targets.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/adapter_scores.py E5_SMALL --out scores.jsonl

Each stage trains English examples from the pretrained encoder and scores test data of other languages. A line of the
file is one stage: mean over the languages, seconds of training, and peak memory of its process. The same command goes
on where the file ends; at its end it prints the table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml
from adapters import peak_memory
from machine import machine_line

from raystilts import Study, plan
from raystilts.training.stage import run_stage

LANGUAGES = {
    "sib200": ["ar", "de", "sw", "th", "zh"], "xnli": ["ar", "de", "sw", "th", "zh"],
    "udpos": ["ar", "de", "fi", "th", "zh"],
}  # fmt: skip


def study(asked: argparse.Namespace, task: str, tuning: str, seed: int) -> Study:
    """One target from the pretrained encoder."""
    chosen: dict[str, Any] = yaml.safe_load(tuning) if ":" in tuning else {"method": tuning}
    rate = asked.learning_rate if chosen["method"] == "full" else asked.adapter_rate
    return Study.model_validate(
        {
            "name": "adapter_scores",
            "encoder": {"model_name_or_path": asked.encoder, "pooling": "mean"},
            "intermediates": ["none"],
            "targets": [{"task": task, "languages": LANGUAGES[task], "tuning": chosen}],
            "seeds": [seed],
            "hyperparameters": {
                "learning_rate": rate,
                "head_learning_rate": 5e-3,
                "per_device_train_batch_size": 16,
                "num_train_epochs": asked.epochs,
                "max_train_samples": asked.train,
                "load_best_model_at_end": False,
                "bf16": asked.bf16,
            },
            "evaluation": {"eval_steps": 1.0e6, "max_dev_samples": 16, "max_test_samples": asked.test},
        }
    )


def measure(asked: argparse.Namespace, task: str, tuning: str, seed: int) -> dict[str, Any]:
    """Runs one stage in this process."""
    planned = plan(study(asked, task, tuning, seed))
    [stage] = planned.of_kind("target")
    with tempfile.TemporaryDirectory() as folder:
        result = run_stage(stage, planned.study, folder, threads=asked.threads, encoder=planned.encoder)
    found = [s.value for s in result.scores if s.split == "test" and s.is_main and s.is_final and s.language != "en"]
    return {"task": task, "tuning": tuning, "seed": seed, "score": mean(found), "seconds": result.train_seconds,
            "peak": peak_memory()}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Means over seeds with their standard deviation, and the difference to the first tuning over the same seeds."""
    lines = [
        "|target|tuning|seeds|zero-shot x 100|against the first|seconds|peak memory, MB|",
        "|---|---|---|---|---|---|---|",
    ]
    tunings = list(dict.fromkeys(row["tuning"] for row in rows))
    for task in dict.fromkeys(row["task"] for row in rows):
        first = {row["seed"]: row["score"] for row in rows if (row["task"], row["tuning"]) == (task, tunings[0])}
        for tuning in tunings:
            own = [row for row in rows if (row["task"], row["tuning"]) == (task, tuning)]
            apart = [100 * (row["score"] - first[row["seed"]]) for row in own if row["seed"] in first]
            if len(own) < 2 or len(apart) < 2:
                continue
            scores = [100 * row["score"] for row in own]
            lines.append(
                f"|{task}|{tuning}|{len(own)}|{mean(scores):.1f} (s.d. {stdev(scores):.1f})|"
                f"{mean(apart):+.1f} (s.d. {stdev(apart):.1f})|{mean(row['seconds'] for row in own):.0f}|"
                f"{mean(row['peak'] for row in own):.0f}|"
            )
    return "\n".join(lines)


def main() -> None:
    """Runs what the file lacks, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--tunings", nargs="+", default=["full", "lora"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--train", type=int, default=480)
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--adapter-rate", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        print(json.dumps(measure(asked, *json.loads(asked.one))))
        return
    rows = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    done = {(row["task"], row["tuning"], row["seed"]) for row in rows}
    for seed in asked.seeds:
        for task in asked.tasks:
            for tuning in asked.tunings:
                if (task, tuning, seed) in done:
                    continue
                command = [sys.executable, __file__, *sys.argv[1:], "--one", json.dumps([task, tuning, seed])]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                rows.append(json.loads(output.splitlines()[-1]))
                with asked.out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(machine_line(asked.threads))
    print(table(rows))


if __name__ == "__main__":
    main()
