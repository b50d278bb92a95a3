from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from raystilts.errors import StorageError
from raystilts.filesystem import open_folder
from raystilts.results.compaction import MAX_PARTS, clean_up, compact, compacting
from raystilts.results.ledger import Ledger
from raystilts.results.reader import Manifest, ResultsWarning, finals_name, load_manifest, publish
from raystilts.results.results import Results

from .rows import write, write_grid

_ARMS = [("none", None), ("mnli", 1.0), ("squad", 0.5)]


def _answers(results: str | Path) -> list[pd.DataFrame]:
    store = Results(results)
    runs = store.runs(all_attempts=True)
    return [runs, store.scores(), store.curves(), store.matrix("gain"), store.matrix()]


def _assert_same(one: list[pd.DataFrame], other: list[pd.DataFrame]) -> None:
    for a, b in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(a, b)


@pytest.mark.parametrize("where", ["local", "memory"])
def test_answers_do_not_change(tmp_path: Path, where: str) -> None:
    results = tmp_path if where == "local" else f"memory://{tmp_path.name}"
    write_grid(results, _ARMS, [1, 2, 3])
    write(results, "x", {"en": 0.1}, attempt=1, status="failed", error="é\n")
    write(results, "x", {"en": float("nan"), "de": 0.1}, attempt=2, seed=9)
    before, rows = _answers(results), Ledger(results).rows()
    done = compact(results)
    assert (done.generation, done.files["runs"], done.rows["scores"]) == (1, 11, 21)
    _assert_same(_answers(results), before)
    assert clean_up(results, older_than=0) == 22
    _assert_same(_answers(results), before)
    assert Ledger(results).rows() == rows
    assert compact(results).generation == 1


def test_final_scores_under_another_name_are_made_anew_from_the_scores(tmp_path: Path) -> None:
    """As an older version has left them, with other columns."""
    write_grid(tmp_path, _ARMS, [1, 2])
    before = _answers(tmp_path)
    compact(tmp_path)
    [part] = load_manifest(open_folder(tmp_path)).parts["scores"]
    ours = tmp_path / "compacted" / finals_name(part)
    older = ours.with_name(part.replace("scores", "finals"))
    ours.rename(older)
    _assert_same(_answers(tmp_path), before)
    clean_up(tmp_path, older_than=0)
    assert not older.exists()
    _assert_same(_answers(tmp_path), before)


def test_readers_opened_before_go_on(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    results, ledger = Results(tmp_path), Ledger(tmp_path)
    before, rows = results.scores(), ledger.rows()
    compact(tmp_path)
    clean_up(tmp_path, older_than=0)
    write(tmp_path, "later", {"en": 0.5}, seed=7)
    pd.testing.assert_frame_equal(results.scores().query("stage != 'later'").reset_index(drop=True), before)
    assert [row for row in ledger.rows() if row.stage != "later"] == rows


def test_many_small_parts_are_merged(tmp_path: Path) -> None:
    for i in range(MAX_PARTS + 2):
        write(tmp_path, f"s{i}", {"en": i / 100}, seed=i)
        compact(tmp_path)
    assert len(load_manifest(open_folder(tmp_path)).parts["runs"]) == 2
    clean_up(tmp_path, older_than=0)
    names = [path.name for path in (tmp_path / "compacted").iterdir()]
    assert len(names) == 2 + 2 + 2 + 1
    assert Results(tmp_path).scores()["value"].tolist() == [i / 100 for i in range(10)]


def test_recent_files_are_kept(tmp_path: Path) -> None:
    write(tmp_path, "a", {"en": 0.5})
    temporary = tmp_path / "runs" / ".b-1.parquet.1-2.tmp"
    temporary.write_bytes(b"half")
    compact(tmp_path)
    assert clean_up(tmp_path) == 0
    assert clean_up(tmp_path, older_than=0) == 2
    os.utime(temporary, (time.time() - 7200,) * 2)
    assert clean_up(tmp_path) == 1


def test_bad_files_stay_where_they_are(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    (tmp_path / "scores" / "mnli1.1-1.parquet").write_bytes(b"PAR1 cut")
    (tmp_path / "scores" / "squad2.1-1.parquet").unlink()
    with pytest.warns(ResultsWarning):
        assert compact(tmp_path).files == {"runs": 1, "scores": 1, "decisions": 0}
    clean_up(tmp_path, older_than=0)
    assert (tmp_path / "scores" / "mnli1.1-1.parquet").exists()
    assert (tmp_path / "runs" / "squad2.1-1.parquet").exists()


def test_loser_of_two_compactions_changes_nothing(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    compact(tmp_path)
    folder = open_folder(tmp_path)
    assert not publish(folder, Manifest(generation=1))
    assert len(Ledger(tmp_path).rows()) == 3


def test_compactions_at_the_same_time(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, range(5))
    before = _answers(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(compact, [tmp_path] * 4))
    clean_up(tmp_path, older_than=0)
    _assert_same(_answers(tmp_path), before)
    assert len(list((tmp_path / "compacted").glob("runs-*.parquet"))) == 1


def test_damaged_compacted_file_is_an_error(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    compact(tmp_path)
    for part in (tmp_path / "compacted").glob("*.parquet"):
        part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(StorageError, match="is damaged"):
        Ledger(tmp_path).rows()


def test_damaged_manifest_is_an_error(tmp_path: Path) -> None:
    write_grid(tmp_path, _ARMS, [1])
    compact(tmp_path)
    (tmp_path / "compacted" / "manifest-00000001.json").write_text("{")
    with pytest.raises(StorageError, match="is not a manifest"):
        Results(tmp_path).runs()


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
