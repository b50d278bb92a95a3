"""What docs/reference/tables.md tells people to run."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raystilts.results.compaction import compact
from raystilts.results.finals import finals_table, write_finals
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results

from .rows import run_row, score_rows, write, write_grid

_DOC = Path(__file__).parents[2] / "docs" / "reference" / "tables.md"


def _snippet(word: str) -> str:
    """The one block of Python in which a word stands."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", _DOC.read_text(), re.S) if word in block]
    return str(found)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of the name that the page uses, in the working directory.

    Among its rows are some that must not be averaged: a smaller fraction, a degenerate run, a stopped run, an attempt
    that another one has replaced, a language that one run lacks, and merged files beside those that they were made of.
    """
    folder = tmp_path / "RESULTS"
    write_grid(folder, [("none", None), ("mnli", 1.0)], [1, 2, 3])
    write(folder, "half", {"en": 0.1, "de": 0.1}, intermediate="mnli", intermediate_fraction=0.5, seed=1)
    write(folder, "broken", {"en": 0.0, "de": 0.0}, intermediate="mnli", intermediate_fraction=1.0, seed=4,
          degenerate=True, degenerate_rule="loss")  # fmt: skip
    write(folder, "again", {"en": 0.2, "de": 0.2}, intermediate="snli", intermediate_fraction=1.0, seed=1, attempt=1)
    write(folder, "again", {"en": 0.7, "de": 0.6}, intermediate="snli", intermediate_fraction=1.0, seed=1, attempt=2)
    write(folder, "more", {"en": 0.7, "de": 0.6, "sw": 0.1}, intermediate="snli", intermediate_fraction=1.0, seed=2)
    write(folder, "snli3", {"en": 0.7, "de": 0.6}, intermediate="snli", intermediate_fraction=1.0, seed=3)
    stopped = run_row("stopped", intermediate="xnli", intermediate_fraction=1.0, seed=1, status="stopped", rung=0.5)
    write_attempt(folder, stopped, score_rows(stopped, {"en": 0.9, "de": 0.9}))
    compact(folder)
    write_finals(Results(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.filterwarnings("ignore::raystilts.results.reader.ResultsWarning")
@pytest.mark.parametrize("tool", ["duckdb", "polars", "pandas"])
def test_the_printed_lines_give_what_best_gives(results: Path, tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(tool, reason=f"no {tool}: pip install {tool}")
    exec(_snippet(f"import {tool}"), {})
    said = capsys.readouterr().out
    best = Results(results).best(include_overlap=True)
    means = best[best["competes"] & best["mean"].notna()].set_index("intermediate")["mean"]
    assert means.to_dict() == pytest.approx({"none": 0.42, "mnli": 0.52, "snli": 0.65})
    for arm, mean in means.items():
        [shown] = re.findall(rf"{arm}\D+(0\.\d+)", said)
        assert float(shown) == pytest.approx(mean, abs=5e-4)


def test_finals_are_switched_whole(results: Path) -> None:
    before = pq.read_table(results / "finals.parquet")
    write(results, "new", {"en": 0.8, "de": 0.8}, intermediate="qqp", intermediate_fraction=1.0, seed=1)
    assert pq.read_table(results / "finals.parquet").equals(before)
    assert write_finals(Results(results)) is None
    after = pq.read_table(results / "finals.parquet")
    assert after.num_rows == before.num_rows + 2
    assert after.equals(finals_table(Results(results)))
    assert not [path for path in results.iterdir() if "finals" in path.name and path.name != "finals.parquet"]


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_grid(tmp_path / "RESULTS", [("none", None), ("mnli", 1.0)], [1, 3])
    monkeypatch.chdir(tmp_path)
    there: dict[str, object] = {}
    exec(_snippet("from raystilts import Results"), there)
    assert len(there["runs"]) == 4  # type: ignore[arg-type]
    assert len(there["curves"]) == 4  # type: ignore[arg-type]
    assert len(there["matrix"]) == 6  # type: ignore[arg-type]
    assert len(there["best"]) == 2  # type: ignore[arg-type]
