"""What docs/results.md tells people to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raystilts.results.compaction import clean_up, compact

from .rows import write_grid

_DOC = Path(__file__).parents[2] / "docs" / "results.md"


def _snippet(word: str) -> str:
    """The one block of Python in which a word stands."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", _DOC.read_text(), re.S) if word in block]
    return str(found)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of the name that the page uses, in the working directory."""
    folder = tmp_path / "RESULTS"
    write_grid(folder, [("none", None), ("mnli", 1.0)], [1, 3])
    compact(folder)
    clean_up(folder, older_than=0)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("tool", ["duckdb", "polars", "pandas"])
def test_own_tools_read_the_tables(results: Path, tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(tool, reason=f"no {tool}: pip install {tool}")
    exec(_snippet(f"import {tool}"), {})
    said = capsys.readouterr().out
    assert re.search(r"mnli\D+0\.52", said)
    assert re.search(r"none\D+0\.42", said)


def test_python(results: Path) -> None:
    there: dict[str, object] = {}
    exec(_snippet("from raystilts import Results"), there)
    assert len(there["runs"]) == 4  # type: ignore[arg-type]
    assert len(there["curves"]) == 4  # type: ignore[arg-type]
    assert len(there["matrix"]) == 6  # type: ignore[arg-type]
    assert len(there["best"]) == 2  # type: ignore[arg-type]
