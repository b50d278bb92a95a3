from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from raystilts.errors import StorageError
from raystilts.results import reader
from raystilts.results.reader import VanishedError, connect, retrying
from raystilts.results.results import Results

from .rows import write_grid


def test_connections_do_not_see_each_others_tables() -> None:
    one, other = connect(), connect()
    for number, connection in enumerate((one, other)):
        connection.execute(f"create temp table mine as select {number} as x")
    assert [connection.execute("from mine").fetchall() for connection in (one, other)] == [[(0,)], [(1,)]]


def _ask(folder: Path) -> None:
    assert len(Results(folder).matrix()) == 6


def test_questions_in_a_forked_process(tmp_path: Path) -> None:
    write_grid(tmp_path, [("none", None), ("mnli", 1.0)], [1])
    _ask(tmp_path)
    child = multiprocessing.get_context("fork").Process(target=_ask, args=(tmp_path,))
    child.start()
    child.join(60)
    still_there = child.is_alive()
    child.kill()
    assert (still_there, child.exitcode) == (False, 0)


def test_a_reading_is_tried_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may be slower than a compaction that deletes files, more than ten times."""
    calls: list[int] = []

    def read(least: int) -> int:
        calls.append(1)
        if len(calls) < least:
            raise VanishedError("part")
        return len(calls)

    assert retrying(lambda: read(20)) == 20
    monkeypatch.setattr(reader, "_PATIENCE", 0.0)
    calls.clear()
    with pytest.raises(StorageError, match="part was listed but cannot be found"):
        retrying(lambda: read(1000))
    assert len(calls) == 10
