from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from raystilts.errors import StorageError, UserError
from raystilts.results.filesystem import open_folder
from raystilts.scheduling import storage
from raystilts.scheduling.preflight import check_storage
from raystilts.scheduling.storage import REMOTE_LOCK, checkpoints_folder, driver_lock, results_folder

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
def test_one_driver_at_a_time(place: str, url: str, tmp_path: Path) -> None:
    results = url if place == "memory" else str(tmp_path)
    message = "another raystilts run is writing here"
    with driver_lock(results), pytest.raises(StorageError, match=message), driver_lock(results):
        pass
    with driver_lock(results):
        pass
    assert REMOTE_LOCK not in open_folder(results).names("")


def hold(url: str, **owner: object) -> None:
    open_folder(url).write(REMOTE_LOCK, json.dumps(owner).encode())


def test_the_lock_of_a_process_that_is_no_more(url: str) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    hold(url, host=socket.gethostname(), pid=ended.pid, token="t")
    with driver_lock(url):
        assert json.loads(open_folder(url).read(REMOTE_LOCK))["pid"] == os.getpid()


def test_the_lock_of_another_machine_ends_without_signs_of_life(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(url, host="elsewhere", pid=1, token="t")
    with pytest.raises(StorageError, match=r"\(elsewhere, process 1\); if it was killed"), driver_lock(url):
        pass
    monkeypatch.setattr(storage, "DEAD_SECONDS", -1.0)
    with driver_lock(url):
        pass


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
