from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import Ledger, next_attempt, read_scores, write_attempt, write_decision
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results
from raystilts.results.schema import DecisionRow

from .rows import run_row, score_rows, write


def test_empty_folder_holds_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none")
    assert ledger.rows() == []
    assert ledger.finished() == {}


def test_latest_finished_attempt_wins(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for attempt in range(1, 11):
        write(tmp_path, "ab", {}, attempt=attempt)
    write(tmp_path, "ab", {}, attempt=11, status="failed", error="out of memory")
    assert ledger.finished()["ab"].attempt == 10
    assert ledger.failed() == {}
    assert [row.attempt for row in ledger.attempts("ab")] == list(range(1, 12))


def test_status_of_the_last_attempt(tmp_path: Path) -> None:
    write(tmp_path, "a", {}, attempt=1, status="failed")
    write(tmp_path, "a", {}, attempt=2, status="stopped", study="one")
    write(tmp_path, "b", {}, attempt=1, status="stopped", study="one")
    write(tmp_path, "b", {}, attempt=2, status="failed", study="two")
    ledger = Ledger(tmp_path)
    assert sorted(ledger.stopped()) == ["a"]
    assert sorted(ledger.stopped("one")) == ["a", "b"]
    assert sorted(ledger.stopped("two")) == []
    assert sorted(ledger.failed()) == ["b"]
    write(tmp_path, "b", {}, attempt=3, study="two")
    assert sorted(ledger.stopped("one")) == ["a"]


def test_sees_what_is_written_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    write(tmp_path, "a", {})
    assert sorted(ledger.finished()) == ["a"]
    write(tmp_path, "b", {})
    assert sorted(ledger.finished()) == ["a", "b"]


def test_bad_files_are_named_and_skipped(tmp_path: Path) -> None:
    for stage in ("a", "b", "c", "d"):
        write(tmp_path, stage, {"en": 0.5})
    runs = tmp_path / "runs"
    whole = (runs / "b-1.parquet").read_bytes()
    (runs / "b-1.parquet").write_bytes(whole[: len(whole) // 2])
    (runs / "c-1.parquet").write_bytes(b"")
    (runs / "d-2.parquet").write_bytes((runs / "d-1.parquet").read_bytes())
    (runs / "notes.txt").write_text("mine")
    with pytest.warns(ResultsWarning) as caught:
        finished = Ledger(tmp_path).finished()
    assert sorted(finished) == ["a", "d"]
    text = " ".join(str(warning.message) for warning in caught)
    for name in ("b-1.parquet (cut off", "c-1.parquet (cut off", "d-2.parquet (its name", "notes"):
        assert name in text


def test_run_without_scores_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    write(tmp_path, "b", {"en": 0.5})
    (tmp_path / "scores" / "b-1.parquet").unlink()
    with pytest.warns(ResultsWarning, match=r"b-1.parquet \(the file of its scores is missing"):
        assert sorted(Ledger(tmp_path).finished()) == ["a"]


@pytest.mark.parametrize("name", ["run[1]", "a*b", "what?", "it's", "é ü"])
def test_folders_with_unusual_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "a", {"en": 0.5})
    assert sorted(Ledger(tmp_path / name).finished()) == ["a"]


def test_object_store(tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    write(url, "a", {"en": 0.5})
    assert sorted(Ledger(url).finished()) == ["a"]


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


def test_the_scores_of_one_attempt_before_and_after_compaction(tmp_path: Path) -> None:
    written = {}
    for stage, attempt, value in (("a", 1, 0.1), ("a", 2, 0.2), ("b", 1, 0.3)):
        run = run_row(stage, attempt=attempt, status="paused", rung=0.5)
        written[stage, attempt] = score_rows(run, {"en": value, "de": value / 2})
        write_attempt(tmp_path, run, written[stage, attempt])

    def check() -> None:
        for (stage, attempt), scores in written.items():
            found = read_scores(tmp_path, stage, attempt)
            assert sorted(found, key=lambda s: s.language) == sorted(scores, key=lambda s: s.language)
        assert read_scores(tmp_path, "a", 3) == []

    check()
    compact(tmp_path)
    clean_up(tmp_path, older_than=0)
    assert not list((tmp_path / "scores").glob("*.parquet"))
    check()
