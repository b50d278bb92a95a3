"""The tutorial and its notebook say the same, and the notebook runs."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .pages import ROOT

nbformat = pytest.importorskip("nbformat", reason="no nbformat: pip install 'raystilts[test]'")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "scripts" / "notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_the_notebook_is_the_page(script: ModuleType) -> None:
    there = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    made = script.notebook((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert sources(there) == sources(made), "run python scripts/notebook.py --execute"
    nbformat.validate(there)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_notebook_runs(
    script: ModuleType, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbclient", reason="no nbclient: pip install 'raystilts[test]'")
    monkeypatch.setenv("RAYSTILTS_DATA_DIR", str(data_dir))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    made = script.notebook((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    script.execute(made, tmp_path)
    said = "\n".join(output.get("text", "") for cell in made.cells for output in cell.get("outputs", ()))
    assert (tmp_path / "results" / "tutorial" / "finals.parquet").is_file()
    assert (tmp_path / "report.html").stat().st_size > 10_000
    assert "udpos: " in said
