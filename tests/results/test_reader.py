from __future__ import annotations

import multiprocessing
from pathlib import Path

from raystilts.results.reader import connect
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
