"""How long a stage takes to its first update: in a warm process, beside a fresh one.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/stage_start.py search_spaces/xtreme_small.yaml \
      --set encoder.model_name_or_path=E5_SMALL

Runs the target stages of the study's arm `none` up to their first update: one after the other in one process, as an
actor does, and each in a process of its own. Tokenised data is cached for both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from statistics import median
from time import perf_counter

import torch
from machine import machine_line

import raystilts.training.stage as stage_module
from raystilts import Study, plan
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.training.loop import Job, Progress


class FirstUpdate(Exception):  # noqa: N818 (not an error)
    """The stage has come to its first update."""


def stop_there(job: Job) -> Progress:
    """Takes the place of the training loop."""
    raise FirstUpdate


def start(planned: Plan, stage: Stage, storage: str) -> float:
    """Seconds to the first update."""
    begin = perf_counter()
    try:
        stage_module.run_stage(stage, planned.study, storage, threads=1, encoder=planned.encoder)
    except FirstUpdate:
        return perf_counter() - begin
    raise AssertionError("the stage trained nothing")


def fresh() -> float:
    """Seconds of a process that brings one stage to its first update."""
    begin = perf_counter()
    subprocess.run([sys.executable, *sys.argv, "--once"], check=True, capture_output=True)
    return perf_counter() - begin


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", help="a study file")
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--once", action="store_true", help="bring one stage to its first update, and end")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    planned = plan(Study.from_file(asked.study, tuple(asked.assignments)))
    stages = [stage for stage in planned.of_kind("target") if stage.intermediate.is_none]
    vars(stage_module)["train"] = stop_there
    with tempfile.TemporaryDirectory(prefix="stage-start-") as storage:
        if asked.once:
            start(planned, stages[0], storage)
            return
        print(machine_line(1))
        for stage in stages:  # fills the cache and warms the process
            start(planned, stage, storage)
        warm = [start(planned, stage, storage) for _ in range(3) for stage in stages]
    cold = [fresh() for _ in range(3)]
    print(f"to the first update, warm: {median(warm):.2f} s (median of {len(warm)}, at most {max(warm):.2f} s); "
          f"in a fresh process: {median(cold):.1f} s (median of {len(cold)})")  # fmt: skip


if __name__ == "__main__":
    main()
