"""`raystilts stop`: the driver of a results folder ends as by Ctrl-C, from any machine that reaches the folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raystilts.errors import UserError
from raystilts.filesystem import LocalFolder
from raystilts.scheduling.lock import LOCAL_OWNER, Owner, driver_lock, live_owner, stop_driver
from raystilts.scheduling.stop_request import STOP_FILE

DRIVER = """
import signal, sys, time
from raystilts.errors import Stopped
from raystilts.scheduling import lock, stop_request
from raystilts.scheduling.stopping import stoppable
stop_request.OBJECT_SECONDS = 0.2
if sys.argv[2] == "elsewhere":  # as on another node: its processes are not ours
    lock._processes = lambda: "node7"
    lock.socket.gethostname = lambda: "node7"
signal.signal(signal.SIGINT, signal.SIG_IGN if sys.argv[2] == "background" else signal.default_int_handler)
try:
    with stoppable(), lock.driver_lock(sys.argv[1]):
        print("ready", flush=True)
        time.sleep(60)
except Stopped as stop:
    sys.exit(128 + stop.signum)
"""


@contextmanager
def driver(results: str | Path, where: str = "here") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", DRIVER, str(results), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("where", "number"), [("here", signal.SIGINT), ("elsewhere", signal.SIGINT), ("background", signal.SIGTERM)]
)
def test_a_run_ends_as_by_ctrl_c(tmp_path: Path, where: str, number: int) -> None:
    with driver(tmp_path, where) as process:
        owner = stop_driver(str(tmp_path))
        assert owner.pid == process.pid
        assert (owner.host == "node7") == (where == "elsewhere")
        assert process.wait(30) == 128 + number
    assert not (tmp_path / STOP_FILE).exists()
    with pytest.raises(UserError, match="nothing to stop"):
        stop_driver(str(tmp_path))


def test_a_run_on_an_object_store_ends_likewise(bucket: str) -> None:
    place = f"{bucket}/study"
    with driver(place, "elsewhere") as process:
        assert stop_driver(place) == Owner("node7", process.pid)
        assert process.wait(30) == 130


def test_what_was_asked_of_an_earlier_run_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / STOP_FILE).write_text("stop")
    with driver_lock(str(tmp_path)):
        assert not (tmp_path / STOP_FILE).exists()


def test_a_stop_is_heard_from_the_first_moment_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run deletes before it listens was asked before anybody could know that it is there."""
    known = []

    def delete(folder: LocalFolder, name: str) -> None:
        known.append(live_owner(folder))

    monkeypatch.setattr(LocalFolder, "delete", delete)
    with driver_lock(str(tmp_path)):
        assert live_owner(str(tmp_path)) is not None
    assert known == [None]


def test_what_a_killed_run_leaves_is_no_run(tmp_path: Path) -> None:
    (tmp_path / LOCAL_OWNER).write_text(json.dumps({"host": "x", "pid": 1, "processes": None}))
    with pytest.raises(UserError, match="nothing to stop"):
        stop_driver(str(tmp_path))
    with driver(tmp_path) as process:
        assert live_owner(str(tmp_path)) is not None
        process.kill()
        process.wait()
        assert live_owner(str(tmp_path)) is None


def test_a_run_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with driver(tmp_path, "elsewhere") as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(UserError, match=f"process {process.pid} on node7, has not answered .* kill -INT"):
            stop_driver(str(tmp_path), patience=0.5)
        assert not (tmp_path / STOP_FILE).exists()
