"""A laptop and a cluster of three hosts, as docs/howto/cluster.md has them set up."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from raystilts.filesystem import open_folder
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results

from .hosts import Host, on

ROOT = Path(__file__).parents[2]
WHEEL = "raystilts-0.1.0-py3-none-any.whl"
#: A shell's first words on the laptop: its own environment, and Ray as the page says.
LAPTOP = f"export PATH={sys.prefix}/bin:$PATH RAY_AUTH_MODE=token RAY_UP_enable_autoscaler_v2=0; "

#: 29 stages, snapshots all the time.
STUDY = """
name: trial
intermediates: [none, cldr_names, cldr_same]
targets: [{task: cldr_units, languages: [en, de]}, {task: cldr_match, languages: [de]}]
seeds: [0, 1, 2, 3]
snapshot_s: 0.2
hyperparameters: {learning_rate: 5e-4, num_train_epochs: 4, max_train_samples: 128, per_device_train_batch_size: 8}
evaluation: {max_dev_samples: 16, max_test_samples: 16}
"""
STAGES = 29


def cluster_file(laptop: Host, head: Host, workers: list[Host]) -> str:
    """The page's file for machines of one's own, with these hosts and this Python environment in it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "local.yaml").read_text(encoding="utf-8"))
    config["provider"] |= {"head_ip": head.address, "worker_ips": [worker.address for worker in workers]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(laptop.key)}
    config["file_mounts"][f"~/{WHEEL}"] = f"~/dist/{WHEEL}"
    here = [line.replace("~/raystilts-env", sys.prefix).replace("$HOME/raystilts-env", sys.prefix)
            for line in config["setup_commands"]]  # fmt: skip
    config["setup_commands"] = [line.replace("grep -q raystilts-env", "grep -q RAY_AUTH_MODE") for line in here]
    small = "ray start --num-cpus=1 --object-store-memory=150000000"
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        config[key] = [line.replace("ray start", small) for line in config[key]]
    return yaml.safe_dump(config)


def submit(laptop: Host, arguments: str) -> str:
    """Starts `raystilts run` on the cluster as a job; returns its id. It needs the laptop no more."""
    job = f"trial-{time.time_ns()}"
    command = f"ray job submit --no-wait --submission-id {job} -- raystilts run trial.yaml --address auto {arguments}"
    on(laptop, f"{LAPTOP}ray exec cluster.yaml '{command}'")
    return job


def outcome(laptop: Host, head: Host, job: str) -> str:
    """Waits until a job has ended; returns what Ray says: succeeded, failed or stopped."""
    said: list[str] = []

    def ended() -> bool:
        # Cheaper than to ask Ray, which shares this machine's processors.
        if on(head, "pgrep -f '[r]aystilts run'", check=False).stdout.strip():
            return False
        said[:] = re.findall(rf"Job '{job}' (?:was )?(succeeded|failed|stopped)", _of_job(laptop, "status", job))
        return bool(said)

    wait_until("the job ends", ended)
    return said[0]


def logs(laptop: Host, job: str) -> str:
    """What a job has printed."""
    return _of_job(laptop, "logs", job)


def _of_job(laptop: Host, what: str, job: str) -> str:
    done = on(laptop, f"{LAPTOP}ray exec cluster.yaml 'ray job {what} {job}'", check=False)
    return done.stdout + done.stderr


def tables(results: str | Path) -> dict[str, pd.DataFrame]:
    """Scores, and how each stage ended; without attempts and times."""
    scores = Results(results).scores().drop(columns="attempt")
    ends = pd.DataFrame([(row.stage, row.status, row.steps_done) for row in Ledger(results).finished().values()])
    return {name: _sorted(frame) for name, frame in {"scores": scores, "ends": ends}.items()}


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values([name for name in frame.columns if name != "value"]).reset_index(drop=True)


def finished(results: str) -> int:
    """Stages that a results folder holds as finished."""
    return len(Ledger(results).finished()) if open_folder(results).exists() else 0


def wait_until(what: str, true: Callable[[], bool], seconds: float = 240) -> float:
    """Waits; returns the seconds that it took.

    Raises:
        TimeoutError: it does not come true.
    """
    started = time.monotonic()
    while not true():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
    return time.monotonic() - started


def wait_for_nodes(head: Host, expected: set[str], seconds: float = 240) -> None:
    """Waits until Ray counts these addresses, and no others, as alive: one client that asks, for each costs seconds.

    Raises:
        RuntimeError: it does not come true.
    """
    code = (
        "import json, sys, time, ray; "
        'ray.init("auto", log_to_driver=False, logging_level="ERROR"); '
        f"expected, end = set(json.loads(sys.argv[1])), time.monotonic() + {seconds}\n"
        'while (found := {n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]}) != expected:\n'
        '    assert time.monotonic() < end, f"{found}, not {expected}"\n'
        "    time.sleep(0.5)"
    )
    on(head, f"python -c {shlex.quote(code)} {shlex.quote(json.dumps(sorted(expected)))}", timeout=seconds + 60)


def without_ray(host: Host) -> bool:
    """Whether Ray's servers have ended on a host."""
    return not on(host, "pgrep -x 'gcs_server|raylet'", check=False).stdout.strip()
