from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from raystilts.filesystem import open_folder
from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger
from raystilts.results.reader import ResultsWarning, load_manifest
from raystilts.results.results import Results

from . import killed

_FORK = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def _quick_start() -> Iterator[None]:
    """Starts a server that has imported everything, so that a new process is at work at once."""
    _FORK.set_forkserver_preload(["pytest", killed.__name__])
    with pytest.MonkeyPatch.context() as patch:
        # The server is not told the import path of its parent.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        process = _FORK.Process(target=print)
        process.start()
        process.join()
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A results folder in memory where there is such a disk: a sync there takes no time."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def _seconds_an_attempt(folder: Path) -> float:
    start = time.monotonic()
    for _ in range(5):
        killed.write_one(folder, "timed", "timed")
    return (time.monotonic() - start) / 5


def _kill_writer(folder: Path, i: int, seconds: float) -> None:
    """Kills a writer some time after it has finished its first attempt."""
    ready = _FORK.Event()
    process = _FORK.Process(target=killed.write_forever, args=(folder, i, ready), daemon=True)
    process.start()
    assert ready.wait(60)
    process.join(seconds)
    assert process.is_alive()
    process.kill()
    process.join()


def _check(folder: Path, before: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """No warning, nothing lost since `before`, and all scores of every winner."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResultsWarning)
        rows = Ledger(folder).rows()
        scores = Results(folder).scores()
    attempts = [(row.stage, row.attempt) for row in rows]
    assert len(set(attempts)) == len(attempts)
    assert before <= set(attempts)
    winners = {row.stage: row.attempt for row in rows}
    for stage, mine in scores.groupby("stage"):
        assert mine["language"].tolist() == killed.LANGUAGES
        assert mine["attempt"].nunique() == 1
        assert mine["attempt"].iloc[0] >= winners.get(str(stage), 0)
        assert (mine["value"] == mine["attempt"] / 10_000).all()
    assert winners.keys() <= set(scores["stage"])
    return set(attempts)


def _read_until(done: threading.Event, folder: Path) -> set[tuple[str, int]]:
    seen: set[tuple[str, int]] = set()
    while not done.wait(0.4):
        seen = _check(folder, seen)
    return seen


def _compact_until(done: threading.Event, folder: Path) -> int:
    """Compacts and deletes again and again; the number of times that there was something."""
    count = 0
    while not done.wait(0.8):
        count += compact(folder).rows["runs"] > 0
        clean_up(folder, older_than=0)
    return count


def test_killed_writers_never_leave_half_a_result(folder: Path) -> None:
    chance = random.Random(1)
    window = 3 * _seconds_an_attempt(folder)
    done = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(_read_until, done, folder)
        compactions = pool.submit(_compact_until, done, folder)
        try:
            for i in range(100):
                _kill_writer(folder, i, chance.uniform(0.0, window))
        finally:
            done.set()
        assert compactions.result() > 1
        seen = _check(folder, reader.result())
    assert {f"{i}.{i}" for i in range(100)} <= {row.hostname for row in Ledger(folder).rows()}
    compact(folder)
    clean_up(folder, older_than=0)
    assert _check(folder, seen) == seen
    # Some were killed between their two files or in the middle of one, or this tests nothing.
    consumed = load_manifest(open_folder(folder)).consumed
    leftovers = [n for t in ("runs", "scores") for n in open_folder(folder).leftovers(t)]
    assert set(consumed["runs"]) <= set(consumed["scores"])
    assert len(consumed["scores"]) - len(consumed["runs"]) + len(leftovers) > 0


def test_reader_beside_writers_and_compactions_that_are_killed(folder: Path) -> None:
    killed.write_one(folder, "first", "first")
    ready = _FORK.Event()
    writer = _FORK.Process(target=killed.write_forever, args=(folder, 0, ready), daemon=True)
    writer.start()
    seen: set[tuple[str, int]] = set()
    try:
        for i in range(5):
            process = _FORK.Process(target=killed.compact_forever, args=(folder, i), daemon=True)
            process.start()
            end = time.monotonic() + 0.2 + 0.1 * i
            while time.monotonic() < end:
                seen = _check(folder, seen)
            process.kill()
            process.join()
    finally:
        writer.kill()
        writer.join()
    seen = _check(folder, seen)
    assert len(seen) > 3
    compact(folder)
    clean_up(folder, older_than=0)
    assert _check(folder, seen) == seen
    assert not list((folder / "runs").glob("*.parquet"))
