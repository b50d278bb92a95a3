from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.results.ledger import Ledger
from raystilts.results.reader import ResultsWarning

from .rows import write


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
