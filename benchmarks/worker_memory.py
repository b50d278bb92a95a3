"""What memory a worker takes at most, in two builds of raystilts, by the system's own count, and how fast it trains.

    RAYSTILTS_DATA_DIR=DATA python benchmarks/worker_memory.py --encoder E5_SMALL --base FOLDER [--rounds 2]

Both builds run the same study, XNLI and then XQuAD, by `raystilts run`, in turns and each in a fresh folder. FOLDER
holds the other build (`git worktree add FOLDER COMMIT`). The peak is the largest `VmHWM` of a worker (pages of files
that it has mapped are counted too); beside it what it was made of when it was largest, of the looks at it every 0.1 s.
Speed is sub-words a second of training, and the rows' seconds of evaluation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from machine import machine_line

from raystilts.results.results import Results

STUDY = """
name: memory
encoder: {{model_name_or_path: {encoder}, pooling: mean}}
intermediates: [xnli]
targets: [{{task: xquad, languages: [en, de, zh]}}]
seeds: [0]
resources: {{cpus: {cpus}}}
snapshot_s: {snapshot_s}
hyperparameters: {{learning_rate: 2e-5, per_device_train_batch_size: 32, max_steps: {updates}, bf16: {bf16},
                   max_train_samples: {rows}}}
evaluation: {{eval_steps: 0.5, max_dev_samples: 48, max_test_samples: 48}}
"""
#: Lines of /proc/PID/status, and what they are called here.
PARTS = {"RssAnon": "own", "RssFile": "files", "RssShmem": "shared"}


@dataclass
class Measured:
    """One run of a build.

    Attributes:
        peak: The largest peak of a worker, MB.
        parts: What the largest worker had when it was seen largest, MB by kind.
        train: Sub-words a second of each training.
        evaluation: Seconds of evaluation, of all stages.
    """

    peak: float = 0.0
    seen: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    train: list[float] = field(default_factory=list)
    evaluation: float = 0.0

    def look(self, pid: str) -> None:
        """Takes the memory of a worker into account."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        sizes = {n: float(v.split()[0]) / 1000 for n, _, v in (one.partition(":") for one in lines) if "kB" in v}
        self.peak = max(self.peak, sizes.get("VmHWM", 0.0))
        if sizes.get("VmRSS", 0.0) > self.seen:
            self.seen = sizes["VmRSS"]
            self.parts = {name: sizes.get(line, 0.0) for line, name in PARTS.items()}


def workers(mark: bytes) -> list[str]:
    """Process ids of the workers of a marked run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::"):
                found += [entry.name] if mark in (entry / "environ").read_bytes() else []
        except OSError:
            continue
    return found


def measured(build: Path, study: str) -> Measured:
    """Runs the study by a build, and looks at its workers meanwhile."""
    with tempfile.TemporaryDirectory(prefix="worker-memory-") as place:
        folder, mark, found = Path(place), uuid.uuid4().hex, Measured()
        (folder / "study.yaml").write_text(study)
        environment = os.environ | {
            "PYTHONPATH": str(build), "RAYSTILTS_CACHE_DIR": str(folder / "cache"), "WORKER_MEMORY_RUN": mark,
        }  # fmt: skip
        run = subprocess.Popen(
            [sys.executable, "-c", "from raystilts.cli import app; app()", "run", "study.yaml", "--storage-path", "."],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=(folder / "err").open("w"),
        )  # fmt: skip
        while run.poll() is None:
            for pid in workers(mark.encode()):
                found.look(pid)
            time.sleep(0.1)
        if run.returncode != 0:
            raise SystemExit((folder / "err").read_text())
        runs = Results(folder / "memory").runs()
        if set(runs["status"]) != {"finished"}:
            raise SystemExit(f"{build}: {runs[['status', 'error']]}")
        trained = runs[runs["train_seconds"] > 0]
        trained = trained.sort_values("target")  # rows of a ledger come in any order
        found.train = [float(t / s) for t, s in zip(trained["tokens"], trained["train_seconds"], strict=True)]
        found.evaluation = float(runs["eval_seconds"].sum())
        return found


def row(name: str, runs: list[Measured]) -> str:
    """A Markdown row of a build's runs."""
    largest = max(runs, key=lambda one: one.seen)
    parts = ", ".join(f"{kind} {size:.0f}" for kind, size in largest.parts.items())
    speeds = " and ".join(f"{median(column):.0f}" for column in zip(*(one.train for one in runs), strict=True))
    evaluation = median(one.evaluation for one in runs)
    peaks = [one.peak for one in runs]
    return f"|{name}|{median(peaks):.0f} MB|{min(peaks):.0f} to {max(peaks):.0f}|{parts}|{speeds}|{evaluation:.1f} s|"


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--base", type=Path, help="folder of another build")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--rows", type=int, default=4000, help="training rows of each task")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--snapshot-s", type=float, default=120.0)
    asked = parser.parse_args()
    study = STUDY.format(
        encoder=asked.encoder, updates=asked.updates, rows=asked.rows, cpus=asked.cpus,
        bf16=str(asked.bf16).lower(), snapshot_s=asked.snapshot_s,
    )  # fmt: skip
    builds = {"this build": Path(__file__).resolve().parents[1]} | ({"base": asked.base} if asked.base else {})
    found: dict[str, list[Measured]] = {name: [] for name in builds}
    for _ in range(asked.rounds):
        for name, build in builds.items():
            found[name].append(measured(build, study))
    print(machine_line(asked.cpus))
    print("|build|peak of a worker|in single runs|at its largest, MB|tokens/s, XNLI and XQuAD|evaluation|")
    print("|---|---|---|---|---|---|")
    for name, runs in found.items():
        print(row(name, runs))
    if asked.base:
        peaks = {name: median(one.peak for one in runs) for name, runs in found.items()}
        print(f"\nratio of peaks: {peaks['this build'] / peaks['base']:.2f}")


if __name__ == "__main__":
    main()
