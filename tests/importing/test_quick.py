"""What is loaded by commands that only read, or only write tables: a user waits for it, and it fills the memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from raystilts.importing.table import Imported

Import = Callable[..., Imported]
_HEAVY = ("torch", "transformers", "ray", "datasets", "optuna", "sklearn")
_CODE = """
import sys

from raystilts.cli import main

names, sys.argv = sys.argv[1].split(","), ["raystilts", *sys.argv[2:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in names if name in sys.modules], file=sys.stderr)
"""


def _loaded(names: Sequence[str], *words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _CODE, ",".join(names), *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["best", "out"], ["matrix", "out"], ["ls", "."], ["import", "--help"]])
def test_who_only_reads_waits_for_no_heavy_library(load: Import, tmp_path: Path, words: list[str]) -> None:
    load("intermediate,target,seed,value\nnone,rte,1,60\nmnli,rte,1,70\n")
    assert _loaded(_HEAVY, *words, folder=tmp_path) == "[]"


def test_a_list_of_studies_waits_for_no_tables_to_compute_with(load: Import, tmp_path: Path) -> None:
    load("intermediate,target,seed,value\nnone,rte,1,60\nmnli,rte,1,70\n")
    assert _loaded(("pandas",), "ls", ".", folder=tmp_path) == "[]"


def test_an_import_loads_nothing_that_answers_questions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("intermediate,target,seed,value\nnone,rte,1,60\nmnli,rte,1,70\n")
    names = (*_HEAVY, "raystilts.results.results", "raystilts.schedules", "raystilts.study.schema", "matplotlib")
    assert _loaded(names, "import", "t.csv", "--out", "out", folder=tmp_path) == "[]"
