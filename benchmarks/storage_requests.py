"""What a study asks of an object store: requests of each kind of stage, and of each snapshot, by method.

Runs a small study without Ray, one stage after the other, against an S3 server on this machine, and counts what the
server answers; once with a snapshot after each update, once without any.

python benchmarks/storage_requests.py
"""

from __future__ import annotations

import importlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stages import plan
from raystilts.scheduling.trainable import Assignment, run_and_record
from raystilts.study.schema import Study

_REQUEST = re.compile(r'"(?:\x1b\[[\d;]*m)?(GET|PUT|POST|DELETE|HEAD) ')


class Server:
    """An S3 server in a process of its own, whose log is counted."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.log = folder / "server.log"
        self.seen = 0
        with self.log.open("wb") as log:
            command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(self.port)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while "Running on" not in self.log.read_text():
            time.sleep(0.1)

    def take(self) -> Counter[str]:
        """Requests by method since the last call."""
        text = self.log.read_text()
        found = Counter(match[1] for match in _REQUEST.finditer(text, self.seen))
        self.seen = len(text)
        return found


def study(storage: str, snapshot_s: float) -> Study:
    """An intermediate, two targets and two retrievals."""
    return Study.model_validate(
        {
            "name": "requests",
            "intermediates": ["none", "cldr_names"],
            "targets": [{"task": "cldr_units", "languages": ["en"]}, {"task": "cldr_match", "languages": ["de"]}],
            "seeds": [0],
            "snapshot_s": snapshot_s,
            "hyperparameters": {"max_train_samples": 32, "num_train_epochs": 1, "per_device_train_batch_size": 8},
            "evaluation": {"max_dev_samples": 8, "max_test_samples": 8},
            "storage_path": storage,
        }
    )


def count(one: Study, requests: Server) -> dict[str, list[Counter[str]]]:
    """Requests of each stage, by kind."""
    planned = plan(one)
    results = results_folder(one)
    assignment = Assignment(planned, results, checkpoints_folder(one))
    found: dict[str, list[Counter[str]]] = {}
    for stage in planned.stages.values():
        requests.take()
        outcome = run_and_record(stage, assignment)
        assert outcome["status"] == "finished", outcome
        kind = f"{stage.kind}, from a parent" if stage.parent else stage.kind
        found.setdefault(kind, []).append(requests.take())
    return found


def main() -> None:
    """Counts, and prints a line for each kind of stage."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}", "RAYSTILTS_CACHE_DIR": folder,
        }  # fmt: skip
        try:
            importlib.import_module("boto3").client("s3").create_bucket(Bucket="bucket")
            for seconds in (1_000_000, 0):
                print("no snapshots" if seconds else "a snapshot after each of 4 updates")
                for kind, counts in count(study(f"s3://bucket/{seconds}", seconds), server).items():
                    for seen in counts:
                        print(f"  {kind}: {seen.total()} requests, {dict(sorted(seen.items()))}", flush=True)
        finally:
            server.process.kill()


if __name__ == "__main__":
    main()
