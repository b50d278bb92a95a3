"""Kills a study's driver again and again, and compares its tables with those of a run that nobody disturbed.

Each time the same command is started and, at a random moment, either the driver alone gets a SIGKILL (its workers may
live on for a moment) or everything that it has started. A study that ends between two kills is compared and another
begun. Ends with code 1 if any table differs.

python benchmarks/faults.py --schedule full [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from raystilts.results.ledger import Ledger
from raystilts.results.results import Results

COMMAND = [sys.executable, "-c", "from raystilts.cli import script; script()", "run", "faults.yaml"]
STUDY = """
name: faults
intermediates: [none, cldr_names, cldr_same, cldr_choice]
targets:
  - {{task: cldr_units, languages: [en, de]}}
  - {{task: cldr_match, languages: [de]}}
seeds: [0, 1, 2]
schedule: {schedule}
snapshot_s: 0.2
hyperparameters: {{learning_rate: 5e-4, num_train_epochs: 2, max_train_samples: 64, per_device_train_batch_size: 8}}
evaluation: {{max_dev_samples: 16, max_test_samples: 16}}
"""


def start(folder: Path, storage: str, mark: str) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    environment = os.environ | {"RAYSTILTS_FAULTS": mark, "RAYSTILTS_CACHE_DIR": str(folder / "cache")}
    with (folder / f"{storage}.log").open("ab") as log:
        return subprocess.Popen(
            [*COMMAND, "--storage-path", storage], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def kill(process: subprocess.Popen[bytes], mark: str, everything: bool) -> None:
    """SIGKILL to the driver, and to all that it has started if asked."""
    process.kill()
    process.wait()
    for pid in marked(mark) if everything else ():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def marked(mark: str) -> list[int]:
    """The processes of one start."""
    wanted, found = f"RAYSTILTS_FAULTS={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def tables(results: Path) -> dict[str, pd.DataFrame]:
    """Scores, how each stage ended, and decisions; without what may differ: attempts and times."""
    loaded = Results(results)
    scores = loaded.scores().drop(columns=["attempt"])
    ledger = Ledger(results)
    ends = [(row.stage, row.status, row.rung, row.stop_reason) for row in
            (*ledger.finished().values(), *ledger.stopped().values(), *ledger.failed().values())]  # fmt: skip
    decisions = loaded.decisions().drop(columns=["decided_at"])
    frames = {
        "scores": scores,
        "ends": pd.DataFrame(ends, columns=["stage", "status", "rung", "stop_reason"]),
        "decisions": decisions,
    }
    return {name: frame.sort_values(list(frame.columns)).reset_index(drop=True) for name, frame in frames.items()}


def differing(one: Path, other: Path) -> list[str]:
    """Names of the tables that are not equal to the last bit."""
    left, right = tables(one), tables(other)
    return [name for name in left if not left[name].equals(right[name])]


def wait_for_a_moment(process: subprocess.Popen[bytes], results: Path, chance: random.Random) -> bool:
    """Lets the command come to a random moment of its start, or of what it does after up to two more stages.

    Returns:
        Whether it still runs.
    """
    there = len(list(results.glob("runs/*.parquet")))
    more = None if chance.random() < 0.25 else chance.randint(0, 2)
    while more is not None and process.poll() is None and len(list(results.glob("runs/*.parquet"))) < there + more:
        time.sleep(0.01)
    try:
        process.wait(chance.uniform(0.0, 4.0 if more else 12.0))
    except subprocess.TimeoutExpired:
        return True
    return False


def torment(folder: Path, kills: int, chance: random.Random) -> tuple[list[Path], Counter[str]]:
    """Kills so many times; returns the results that came to an end, and what the kills hit."""
    ended: list[Path] = []
    hits: Counter[str] = Counter()
    while True:
        storage, left = f"killed{len(ended)}", kills - sum(hits.values())
        results = folder / storage / "faults"
        mark = uuid.uuid4().hex
        process = start(folder, storage, mark)
        if left and wait_for_a_moment(process, results, chance):
            everything = chance.random() < 0.5
            kill(process, mark, everything)
            hits["everything" if everything else "the driver alone"] += 1
            continue
        code = process.wait(1200)
        if code != 0:
            raise SystemExit(f"the command ended with {code}; see {folder}/{storage}.log")
        ended.append(results)
        if not left:
            return ended, hits


def main() -> None:
    """Runs once undisturbed, then under fire, and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--schedule", choices=["full", "halve", "top_two", "race", "asha"], default="full")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="raystilts-faults-"))
    (folder / "faults.yaml").write_text(STUDY.format(schedule=asked.schedule))
    os.environ.pop("RAYSTILTS_DATA_DIR", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    started = time.monotonic()
    code = start(folder, "calm", uuid.uuid4().hex).wait(1200)
    calm = folder / "calm" / "faults"
    seconds = time.monotonic() - started
    if code != 0:
        raise SystemExit(f"the undisturbed run ended with {code}; see {folder}/calm.log")
    ended, hits = torment(folder, asked.kills, random.Random(asked.seed))
    different: dict[str, Any] = {str(one): names for one in ended if (names := differing(calm, one))}
    rows = {name: len(frame) for name, frame in tables(calm).items()}
    attempts = [sum(row.status == "finished" for row in Ledger(one).rows()) for one in ended]
    print(
        f"schedule {asked.schedule}: undisturbed {seconds:.0f} s, {json.dumps(rows)} rows; {sum(hits.values())} kills "
        f"({json.dumps(hits)}), {len(ended)} studies ended with {attempts} finished rows; "
        f"{'all tables equal' if not different else f'DIFFERENT: {different}'}; {time.monotonic() - started:.0f} s"
    )
    raise SystemExit(bool(different))


if __name__ == "__main__":
    main()
