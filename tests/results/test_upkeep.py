from __future__ import annotations

import time
from pathlib import Path

import pytest

from raystilts.results.compaction import compacting
from raystilts.results.ledger import Ledger

from .rows import write


def _raw(folder: Path) -> int:
    return len(list((folder / "runs").glob("*.parquet")))


def test_many_files_are_merged_while_the_block_runs(tmp_path: Path) -> None:
    with compacting(tmp_path, many=3, pause=0.01):
        for i in range(3):
            write(tmp_path, f"s{i}", {"en": 0.5}, seed=i)
        end = time.monotonic() + 60
        while not list((tmp_path / "compacted").glob("manifest-*.json")) and time.monotonic() < end:
            time.sleep(0.01)
        assert [row.stage for row in Ledger(tmp_path).rows()] == ["s0", "s1", "s2"]
        assert _raw(tmp_path) == 3  # kept for readers at work
    assert _raw(tmp_path) == 0
    assert [row.stage for row in Ledger(tmp_path).rows()] == ["s0", "s1", "s2"]


def test_few_files_are_merged_at_the_end(tmp_path: Path) -> None:
    with compacting(tmp_path, pause=0.01):
        write(tmp_path, "a", {"en": 0.5})
        time.sleep(0.1)
        assert _raw(tmp_path) == 1
    assert _raw(tmp_path) == 0
    assert [row.stage for row in Ledger(tmp_path).rows()] == ["a"]


def _fail(folder: Path) -> None:
    with compacting(folder):
        write(folder, "a", {"en": 0.5})
        raise KeyboardInterrupt


def test_nothing_is_done_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fail(tmp_path)
    assert _raw(tmp_path) == 1


def test_an_empty_folder_stays_empty(tmp_path: Path) -> None:
    with compacting(tmp_path / "results"):
        pass
    assert list(tmp_path.iterdir()) == []
