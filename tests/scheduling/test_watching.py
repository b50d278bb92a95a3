from __future__ import annotations

import io
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from raystilts.errors import UserError
from raystilts.scheduling.status import Status, note_not_begun, note_preparing, render
from raystilts.scheduling.watching import Outcome, Watch


def write(folder: Path, **fields: Any) -> None:
    now = datetime.now(UTC).isoformat()
    known = {"state": "running", "updated_at": now, "host": "node1", "pid": 12, "done": 3, "running": 1, "waiting": 2,
             "failed": 0, "seconds": 9.0, "seconds_left": 61}  # fmt: skip
    file = folder / "progress.json"
    half = folder / ".half"
    half.write_text(json.dumps(known | fields))
    half.replace(file)


class Clock:
    """Time that passes when somebody sleeps, and what happens then."""

    def __init__(self, *happens: Any) -> None:
        self.now, self.happens = 0.0, list(happens)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.happens and self.now >= self.happens[0][0]:
            self.happens.pop(0)[1]()


def watched(folder: str | Path, clock: Clock) -> tuple[Outcome, list[str]]:
    out = io.StringIO()
    outcome = Watch(str(folder), Console(file=out, width=100), clock, clock.sleep).follow()
    return outcome, out.getvalue().splitlines()


def test_a_line_a_minute_until_the_end(tmp_path: Path) -> None:
    write(tmp_path, running_now=[["none > xnli seed 0", 5.0]])
    clock = Clock(
        (30, lambda: write(tmp_path, done=4)),
        (70, lambda: write(tmp_path, done=5)),
        (90, lambda: write(tmp_path, state="ended", done=6, running=0, waiting=0, seconds_left=0)),
    )
    outcome, lines = watched(tmp_path, clock)
    assert outcome == 0
    assert lines == [
        "[3 done, 1 running, 2 waiting, 0 failed; 1 min 01 s left] running: none > xnli seed 0 (5 s)",
        "[4 done, 1 running, 2 waiting, 0 failed; 1 min 01 s left] running: -",
        "the run has ended: 6 done, 0 running, 0 waiting, 0 failed",
    ]


def test_failures_are_told_at_once_and_once(tmp_path: Path) -> None:
    failed = {"failed": 1, "errors": ["none > xnli seed 1: ValueError: odd"]}
    write(tmp_path, **failed)
    outcome, lines = watched(tmp_path, Clock((5, lambda: write(tmp_path, state="ended", **failed))))
    assert outcome == 1
    assert [line for line in lines if line.startswith("FAILED")] == ["FAILED none > xnli seed 1: ValueError: odd"]


def test_it_waits_for_a_run_and_says_what_that_prepares(tmp_path: Path) -> None:
    clock = Clock(
        (3, lambda: write(tmp_path, state="preparing", doing="rehearsing 4 kinds of stages")),
        (6, lambda: write(tmp_path, state="stopped")),
    )
    outcome, lines = watched(tmp_path, clock)
    assert outcome == 3
    assert lines[:2] == [
        "no run has begun in this folder yet; waiting for one", "preparing: rehearsing 4 kinds of stages",
    ]  # fmt: skip
    counts = "3 done, 1 running, 2 waiting, 0 failed"
    assert lines[-1] == f"the run stopped before its end: {counts}; the same command goes on"


def test_a_run_that_ends_before_its_first_stage_is_not_waited_for(tmp_path: Path) -> None:
    note_preparing(tmp_path, "rehearsing 3 kinds of stages")
    note_not_begun(tmp_path)
    assert watched(tmp_path, Clock())[0] == 3
    write(tmp_path, state="ended")
    note_not_begun(tmp_path)
    assert watched(tmp_path, Clock())[0] == 0


def test_a_run_that_gives_no_sign_of_life(tmp_path: Path) -> None:
    write(tmp_path)
    clock = Clock()
    outcome, lines = watched(tmp_path, clock)
    assert outcome == 3
    assert 60 < clock.now < 70
    assert lines[-1].startswith("no sign of life since ")
    assert lines[-1].endswith("of process 12 on node1; if it is gone, the same command goes on")
    write(tmp_path, updated_at=(datetime.now(UTC) - timedelta(days=2)).isoformat())
    clock = Clock()
    assert watched(tmp_path, clock)[0] == 3
    assert clock.now == 0, "nobody waits for a run of the day before yesterday"


def test_a_damaged_file_is_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text("{")
    assert watched(tmp_path, Clock((2, lambda: write(tmp_path, state="ended"))))[0] == 0


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such results folder; give"):
        Watch(str(tmp_path / "not"), Console()).follow()


def test_in_a_terminal_and_in_real_time(tmp_path: Path) -> None:
    write(tmp_path, best_so_far={"xnli": {"arm": "squad", "dev": 0.5, "arms": 2}}, targets=["xnli", "udpos"])
    out = io.StringIO()
    end = threading.Timer(1.5, lambda: write(tmp_path, state="ended"))
    end.start()
    began = time.monotonic()
    assert Watch(str(tmp_path), Console(file=out, width=80, force_terminal=True)).follow() == 0
    assert 1 < time.monotonic() - began < 60
    assert "squad" in out.getvalue()


def test_the_table_of_a_status_has_all_targets() -> None:
    out = io.StringIO()
    data = {"done": 1, "best_so_far": {"xnli": {"arm": "squad", "dev": 0.5, "arms": 2}}, "targets": ["xnli", "udpos"]}
    Console(file=out, width=80).print(render(Status.from_json(data), 80))
    rows = [line.split() for line in out.getvalue().splitlines()]
    assert ["xnli", "squad", "50.0", "2"] in rows
    assert ["udpos", "-", "-", "0"] in rows


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Any:
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a",
                        "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # clients of another test's server
    boto3.client("s3").create_bucket(Bucket="results")
    yield "s3://results/small"
    server.stop()


def test_on_an_object_store(bucket: str) -> None:
    from raystilts.filesystem import open_folder

    folder = open_folder(bucket)
    data = {"state": "running", "updated_at": "2026-01-01T00:00:00", "done": 1, "host": "h", "pid": os.getpid()}
    folder.write("progress.json", json.dumps(data | {"updated_at": datetime.now(UTC).isoformat()}).encode())

    def end() -> None:
        folder.write("progress.json", json.dumps(data | {"state": "ended", "failed": 2}).encode(), overwrite=True)

    outcome, lines = watched(bucket, Clock((10, end)))
    assert outcome == 1
    assert lines[-1] == "the run has ended: 1 done, 2 failed"
