from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import open_folder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.scheduling import lock as storage
from raystilts.scheduling.lock import REMOTE_LOCK, driver_lock
from raystilts.scheduling.preflight import check_storage

from .examples import study


@pytest.fixture
def url() -> str:
    """A folder on fsspec's object store in memory."""
    return f"memory://{uuid.uuid4().hex}/results"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("s3://bucket/folder/", "s3://bucket/folder"),
        ("file:///tmp/a%20b", "/tmp/a b"),
        ("/tmp/results", "/tmp/results"),
        ("results", f"{Path.cwd()}/results"),
    ],
)
def test_where_things_are(tmp_path: Path, given: str, expected: str) -> None:
    one = study(tmp_path).model_copy(update={"storage_path": given})
    assert (results_folder(one), checkpoints_folder(one)) == (f"{expected}/small", f"{expected}/checkpoints")


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_one_driver_at_a_time(place: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.01)
    results = url if place == "memory" else str(tmp_path)
    message = "another raystilts run is writing here"
    with driver_lock(results), pytest.raises(StorageError, match=message), driver_lock(results):
        pass
    with driver_lock(results):
        pass
    assert REMOTE_LOCK not in open_folder(results).names("")


def hold(url: str, **owner: object) -> None:
    open_folder(url).write(REMOTE_LOCK, json.dumps(owner).encode())


def processes() -> str:
    """What a lock says of where its process can be seen, where that is here."""
    if not Path("/proc/1/stat").exists():
        pytest.skip("no /proc: here a driver that was killed is found by its lack of signs of life")
    found = storage._processes()
    assert found is not None
    return found


@pytest.fixture
def ended_pid() -> int:
    """The number of a process that is no more."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_the_lock_of_a_process_that_is_no_more(url: str, ended_pid: int) -> None:
    hold(url, host="here", pid=ended_pid, processes=processes(), token="t")
    said = list[str]()
    with driver_lock(url, said.append):
        assert json.loads(open_folder(url).read(REMOTE_LOCK))["pid"] == os.getpid()
    assert said == []


@pytest.mark.parametrize("processes", ["of another machine", None])
def test_the_lock_of_another_machine_ends_without_signs_of_life(
    url: str, processes: str | None, ended_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that machine has the same name as this one."""
    monkeypatch.setattr(storage, "DEAD_SECONDS", 0.3)
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.01)
    hold(url, host=socket.gethostname(), pid=ended_pid, processes=processes, token="t")
    said, started = list[str](), time.monotonic()
    with driver_lock(url, said.append):
        assert time.monotonic() - started > 0.25
        assert json.loads(open_folder(url).read(REMOTE_LOCK))["pid"] == os.getpid()
    (line,) = said
    assert line.startswith(f"{url}: locked by another raystilts run ({socket.gethostname()}, process {ended_pid}); if")


def test_the_lock_of_another_machine_stays_with_signs_of_life(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.01)
    owner = {"host": "elsewhere", "pid": 1, "processes": "elsewhere", "token": "t"}
    hold(url, **owner)
    beat = threading.Timer(0.2, open_folder(url).write, (REMOTE_LOCK, json.dumps(owner).encode()), {"overwrite": True})
    beat.start()
    with (
        pytest.raises(StorageError, match=r"writing here \(elsewhere, process 1\); wait for it to end"),
        driver_lock(url),
    ):
        pass
    beat.join()
    assert json.loads(open_folder(url).read(REMOTE_LOCK)) == owner


def test_a_lock_that_is_given_back_meanwhile(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOOK_SECONDS", 0.01)
    hold(url, host="elsewhere", pid=1, token="t")
    end = threading.Timer(0.1, open_folder(url).delete, (REMOTE_LOCK,))
    end.start()
    with driver_lock(url):
        end.join()
        assert json.loads(open_folder(url).read(REMOTE_LOCK))["pid"] == os.getpid()


def test_a_driver_hears_that_another_has_taken_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "BEAT_SECONDS", 0.01)
    heard, reasons = threading.Event(), list[str]()

    def lost(reason: str) -> None:
        reasons.append(reason)
        heard.set()

    with driver_lock(url) as held:
        held.when_lost = lost
        other = json.dumps({"host": "elsewhere", "pid": 1, "token": "t"}).encode()
        open_folder(url).write(REMOTE_LOCK, other, overwrite=True)
        assert heard.wait(10)
    assert reasons == [f"{url}: another raystilts run has taken over; this one stops"]
    assert open_folder(url).read(REMOTE_LOCK) == other, "another's lock is not taken away"


def test_a_store_that_cannot_be_written(url: str) -> None:
    check_storage(url, None)
    assert open_folder(url).names("") == []
    with pytest.raises(UserError, match="package"):
        check_storage("abfs://container/folder", None)
