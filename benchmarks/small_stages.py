"""A study of many small stages in two builds of raystilts: wall time, and whose processor time it is.

    python benchmarks/small_stages.py STUDY.yaml --base FOLDER [--rounds 1] [--set 'seeds=[0]']
    python benchmarks/small_stages.py STUDY.yaml --alone

Both builds run the same study by `raystilts run`, in turns and each in a fresh folder; FOLDER holds the other build
(`git worktree add FOLDER COMMIT`). Prints wall time, processor time of the driver, the workers and Ray's own processes,
stages, and whether both found the same scores to the bit.

`--alone` runs the targets without an intermediate in this process, warm and on one thread, and prints beside their time
what their matrix products alone would take at the rate of large ones.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from machine import machine_line
from matrix_rate import matrix_rate
from torch.utils.flop_counter import FlopCounterMode

from raystilts import Study, plan
from raystilts.planning.resolve import load_study
from raystilts.results.results import Results
from raystilts.training.stage import run_stage

TICKS = os.sysconf("SC_CLK_TCK")
KINDS = ("driver", "workers", "Ray")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds on the clock, processor seconds by kind of process, stages, and scores."""

    wall: float
    cpu: dict[str, float]
    stages: int
    scores: pd.DataFrame


def kind_of(command: bytes) -> str:
    """Which part of a run a process is."""
    if command.startswith(b"ray::"):
        return "workers"
    return "driver" if b"raystilts.cli" in command else "Ray"


def look(mark: bytes, used: dict[int, tuple[str, float]]) -> None:
    """Notes the processor seconds of all processes of a marked run."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                seconds = (int(fields[11]) + int(fields[12])) / TICKS
                used[int(entry.name)] = kind_of((entry / "cmdline").read_bytes()), seconds
        except OSError:
            continue


def measured(build: Path, study: Path, changes: list[str]) -> Measured:
    """Runs the study by a build."""
    with tempfile.TemporaryDirectory(prefix="small-stages-") as place:
        folder, mark, used = Path(place), uuid.uuid4().hex, dict[int, tuple[str, float]]()
        environment = os.environ | {
            "PYTHONPATH": str(build), "RAYSTILTS_CACHE_DIR": str(folder / "cache"), "SMALL_STAGES_RUN": mark,
        }  # fmt: skip
        command = [sys.executable, "-c", "from raystilts.cli import app; app()", "run", str(study)]
        command += ["--storage-path", "out", *(part for one in changes for part in ("--set", one))]
        begin = time.perf_counter()
        with (folder / "err").open("w") as err:
            run = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=err)
        while run.poll() is None:
            look(mark.encode(), used)
            time.sleep(0.2)
        wall = time.perf_counter() - begin
        if run.returncode != 0:
            raise SystemExit((folder / "err").read_text())
        [results] = [one for one in (folder / "out").iterdir() if (one / "study.json").exists()]
        cpu: dict[str, float] = defaultdict(float)
        for kind, seconds in used.values():
            cpu[kind] += seconds
        read = Results(results)
        scores = read.scores().drop(columns=["stage", "attempt", "study"])
        order = [column for column in scores.columns if column != "value"]
        return Measured(wall, cpu, len(read.runs()), scores.sort_values(order).reset_index(drop=True))


def alone(study: Study) -> None:
    """Prints how long targets take in this process, and how long their matrix products would."""
    torch.set_num_threads(1)
    rate = matrix_rate(torch.device("cpu"), bf16=False)
    stages = [stage for stage in plan(study).of_kind("target") if stage.parent is None]
    print(f"{machine_line(1)}\nmatrix products: {rate / 1e9:.0f} GFLOP/s\n")
    print("|target|a warm stage|its products at that rate|share|\n|---|---|---|---|")
    for stage in stages:
        with tempfile.TemporaryDirectory() as folder, FlopCounterMode(display=False) as counter:
            run_stage(stage, study, folder)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.process_time()
            run_stage(stage, study, folder)
            seconds = time.process_time() - begin
        least = counter.get_total_flops() / rate
        print(f"|{stage.tasks[0].task.name}|{seconds:.2f} s|{least:.2f} s|{least / seconds:.0%}|")


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--base", type=Path, help="folder of another build")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    parser.add_argument("--alone", action="store_true", help="time stages in this process")
    asked = parser.parse_args()
    if asked.alone:
        alone(load_study(asked.study, (*asked.changes, "seeds=[0]")))
        return
    builds = {"this build": Path(__file__).resolve().parents[1]} | ({"base": asked.base} if asked.base else {})
    found: dict[str, list[Measured]] = {name: [] for name in builds}
    for _ in range(asked.rounds):
        for name, build in builds.items():
            found[name].append(measured(build, asked.study.resolve(), asked.changes))
    print(machine_line(1))
    print(f"|build|stages|wall|{'|'.join(f'CPU s, {kind}' for kind in KINDS)}|CPU s in all|")
    print("|---|---|---|---|---|---|---|")
    for name, runs in found.items():
        parts = "|".join(f"{median(one.cpu[kind] for one in runs):.1f}" for kind in KINDS)
        total = median(cpu_of(one) for one in runs)
        print(f"|{name}|{runs[0].stages}|{median(one.wall for one in runs):.1f} s|{parts}|{total:.1f}|")
    if asked.base:
        own, base = found["this build"], found["base"]
        walls, cpus = ([median(get(one) for one in side) for side in (own, base)] for get in (wall_of, cpu_of))
        print(f"\nratio of wall times {walls[0] / walls[1]:.2f}, of processor times {cpus[0] / cpus[1]:.2f}")
        same = own[0].scores.equals(base[0].scores)
        print(f"{len(own[0].scores)} scores, {'the same to the bit' if same else 'NOT the same'}")


def wall_of(one: Measured) -> float:
    """Its seconds on the clock."""
    return one.wall


def cpu_of(one: Measured) -> float:
    """Its processor seconds."""
    return sum(one.cpu.values())


if __name__ == "__main__":
    main()
