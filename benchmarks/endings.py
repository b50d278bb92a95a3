"""What an ending costs: a small study is ended at random moments, and started again by the same command.

For each schedule the study runs once undisturbed. Then it is ended in a random way, at a moment drawn from the length
of the undisturbed run, and started again, over and over. Ways: SIGTERM, SIGUSR1, SIGHUP and Ctrl-C to the driver,
SIGKILL to the driver alone, and to it with all its processes. In the end it runs through. Prints for each schedule the
endings by way, those with a wrong exit code or output, with processes left after `--left-s` seconds, and the tables
(scores, curves, decisions, runs) that differ from the undisturbed ones; exits with 1 where there is any.

python benchmarks/endings.py [--endings 60] [--schedules full asha race halve top_two] [--seed 0] [--left-s 30]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raystilts.results.results import Results

STUDY = """
name: small
intermediates: [none, cldr_names, cldr_same]
targets: [{{task: cldr_units, languages: [en]}}, {{task: cldr_match, languages: [de]}}]
seeds: [0, 1]
snapshot_s: 5
hyperparameters: {{learning_rate: 3e-3, num_train_epochs: 8, max_train_samples: 32, per_device_train_batch_size: 4}}
evaluation: {{eval_steps: 0.25, max_dev_samples: 16, max_test_samples: 8}}
schedule: {schedule}
"""
SCHEDULES = {
    "full": "full",
    "asha": "asha",
    "race": "{race: {confidence: 0.95}}",
    "halve": "{halve: {keep: [all, 1], rung: 0.5}}",
    "top_two": "{top_two: {runs: 5, round_size: 2}}",
}
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)
WAYS = (*SIGNALS, "kill the driver", "kill all")


@dataclass
class Count:
    """What came of the endings under one schedule."""

    ways: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    left: int = 0
    too_late: int = 0


class Run:
    """The command line as a process, with all that it starts."""

    def __init__(self, folder: Path, name: str, storage: str) -> None:
        self.mark = uuid.uuid4().hex
        self.err = folder / f"{self.mark}.err"
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from raystilts.cli import script; script()"
        )
        environment = os.environ | {
            "RAYSTILTS_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1", "ENDINGS_RUN": self.mark,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "run", f"{name}.yaml", "--storage-path", storage],
            cwd=folder, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=self.err.open("w"),
        )  # fmt: skip

    def processes(self) -> list[int]:
        """The driver and all that it has started."""
        mark, found = f"ENDINGS_RUN={self.mark}".encode(), []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def kill(self) -> None:
        """SIGKILL to all of it."""
        for _ in range(3):
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.process.wait()


def end(run: Run, way: Any, count: Count, left_s: float) -> None:
    """Ends a run that is at work, and looks at how it ends."""
    count.ways[way if isinstance(way, str) else way.name] += 1
    if way == "kill all":
        run.kill()
        return
    began = bool(run.processes())
    os.kill(run.process.pid, signal.SIGKILL if isinstance(way, str) else way)
    try:
        code = run.process.wait(120)
    except subprocess.TimeoutExpired:
        code = None
    said = run.err.read_text(errors="replace")
    expected = {-9} if isinstance(way, str) else {128 + way, 0}  # 0: it had just come to its end
    if isinstance(way, signal.Signals) and "raystilts" not in said:
        expected.add(-way)  # before Python had read the command line
    if began and (code not in expected or re.search(r"Traceback|\*\*\* SIG", said)):
        count.wrong.append(f"{way}: exit code {code}: {said[-300:]}")
    ended = time.monotonic()
    while run.processes() and time.monotonic() - ended < left_s:
        time.sleep(0.2)
    count.left += bool(run.processes())
    run.kill()


def tables(results: Path) -> dict[str, Any]:
    """What a study has found, without times and numbers of attempts."""
    read = Results(str(results))
    found = {
        "scores": read.scores().drop(columns="attempt"),
        "curves": read.curves().drop(columns="attempt"),
        "decisions": read.decisions().drop(columns="decided_at"),
        "runs": read.runs()[["stage", "status", "stop_reason", "rung", "steps_done", "steps_planned"]],
    }
    return {
        name: table.sort_values([c for c in table.columns if c != "value"]).reset_index(drop=True)
        for name, table in found.items()
    }


def through(folder: Path, name: str, storage: str) -> float:
    """Runs a study to its end; returns the seconds that took."""
    run, begun = Run(folder, name, storage), time.monotonic()
    if run.process.wait() != 0:
        raise SystemExit(f"{name}: {run.err.read_text()}")
    return time.monotonic() - begun


def disturbed(folder: Path, name: str, endings: int, draw: random.Random, left_s: float) -> tuple[Count, list[str]]:
    """Ends the study of a schedule so often; returns what came of it, and the tables that differ."""
    (folder / f"{name}.yaml").write_text(STUDY.format(schedule=SCHEDULES[name]))
    length = through(folder, name, f"calm-{name}")
    expected, count, differing, turn = tables(folder / f"calm-{name}" / "small"), Count(), set[str](), 0
    while sum(count.ways.values()) < endings:
        turn += 1
        storage, over = f"ended-{name}-{turn}", False
        while not over and sum(count.ways.values()) < endings:
            run = Run(folder, name, storage)
            try:
                run.process.wait(draw.uniform(0.02, 1.0) * length)
                over, count.too_late = True, count.too_late + 1
            except subprocess.TimeoutExpired:
                end(run, draw.choice(WAYS), count, left_s)
        through(folder, name, storage)
        found = tables(folder / storage / "small")
        differing |= {f"{storage}: {table}" for table in expected if not expected[table].equals(found[table])}
        shutil.rmtree(folder / storage)
    return count, sorted(differing)


def main() -> None:
    """Ends studies and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endings", type=int, default=60, help="in all, shared among the schedules")
    parser.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--left-s", type=float, default=30.0, help="a machine with much other work needs longer")
    arguments = parser.parse_args()
    draw, bad = random.Random(arguments.seed), False
    share = -(-arguments.endings // len(arguments.schedules))
    print("|schedule|endings|by way|wrong exit or output|processes left|tables that differ|", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="endings-", ignore_cleanup_errors=True) as place:
        for name in arguments.schedules:
            count, differing = disturbed(Path(place), name, share, draw, arguments.left_s)
            ways = ", ".join(f"{way} {n}" for way, n in sorted(count.ways.items()))
            numbers = (ways, len(count.wrong), count.left, len(differing))
            print(f"|{name}|{sum(count.ways.values())}|{'|'.join(map(str, numbers))}|", flush=True)
            for line in (*count.wrong, *differing):
                print(line, file=sys.stderr, flush=True)
            bad = bad or bool(count.wrong or count.left or differing)
    sys.exit(bad)


if __name__ == "__main__":
    main()
