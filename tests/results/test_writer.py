from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger, next_attempt, write_attempt, write_decision
from raystilts.results.results import Results
from raystilts.results.schema import DecisionRow

from .rows import run_row, score_rows, write


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_files_are_named_after_stage_and_attempt(tmp_path: Path) -> None:
    write(tmp_path, "ab", {"en": 0.5})
    assert _files(tmp_path) == ["runs/ab-1.parquet", "scores/ab-1.parquet"]


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    first = write(tmp_path, "ab", {"en": 0.5})
    assert write(tmp_path, "ab", {"en": 0.5}) == first
    assert len(_files(tmp_path)) == 2


def test_taken_number_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "ab", {"en": 0.5}, hostname="one")
    second = write(tmp_path, "ab", {"en": 0.6}, hostname="two")
    assert second.attempt == 2
    assert [(r.attempt, r.hostname) for r in Ledger(tmp_path).rows()] == [(1, "one"), (2, "two")]
    assert Results(tmp_path).scores()["value"].tolist() == [0.6]


def test_scores_of_a_killed_writer_keep_their_number(tmp_path: Path) -> None:
    write(tmp_path, "ab", {"en": 0.5})
    (tmp_path / "runs" / "ab-1.parquet").unlink()
    assert next_attempt(tmp_path, "ab") == 2
    assert write(tmp_path, "ab", {"en": 0.7}).attempt == 2
    assert Results(tmp_path).scores()["value"].tolist() == [0.7]


def test_next_attempt(tmp_path: Path) -> None:
    assert next_attempt(tmp_path, "ab") == 1
    for attempt in range(1, 12):
        write(tmp_path, "ab", {}, attempt=attempt)
    write(tmp_path, "ab-3", {}, attempt=40)
    assert next_attempt(tmp_path, "ab") == 12
    compact(tmp_path)
    clean_up(tmp_path, older_than=0)
    assert _files(tmp_path / "runs") == []
    assert next_attempt(tmp_path, "ab") == 12
    assert write(tmp_path, "ab", {}, attempt=3).attempt == 12


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def one(host: int) -> int:
        return write(tmp_path, "ab", {"en": 0.5}, hostname=str(host)).attempt

    with ThreadPoolExecutor(8) as pool:
        attempts = list(pool.map(one, range(16)))
    assert sorted(attempts) == sorted(set(attempts))
    assert {row.hostname for row in Ledger(tmp_path).rows()} == {str(i) for i in range(16)}


def test_scores_must_belong_to_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was given with the run"):
        write_attempt(tmp_path, run_row("ab"), score_rows(run_row("cd"), {"en": 0.5}))
    assert _files(tmp_path) == []


def test_decisions(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "study": "s",
        "target": "xnli",
        "target_fraction": 1.0,
        "rule": "race",
        "parameters": "{}",
        "arms_kept": "[]",
        "arms_dropped": "[]",
        "inputs_hash": "h",
        "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    assert write_decision(tmp_path, DecisionRow(round=1, **values))
    assert write_decision(tmp_path, DecisionRow(round=2, **values))
    assert not write_decision(tmp_path, DecisionRow(round=2, **values))
    assert Results(tmp_path).decisions()["round"].tolist() == [1, 2]
    compact(tmp_path)
    clean_up(tmp_path, older_than=0)
    assert not write_decision(tmp_path, DecisionRow(round=2, **values))
    assert Results(tmp_path).decisions()["round"].tolist() == [1, 2]
