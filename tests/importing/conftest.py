from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from raystilts.importing.table import Imported, Options, import_table
from raystilts.results.results import Results

Import = Callable[..., Imported]


@pytest.fixture
def load(tmp_path: Path) -> Import:
    """Imports a text under a file's name, or a path, into ``out``."""

    def call(source: str | Path, name: str = "table.csv", **options: object) -> Imported:
        path = source if isinstance(source, Path) else tmp_path / name
        if isinstance(source, str):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return import_table(path, tmp_path / "out", Options(**options))  # type: ignore[arg-type]

    return call


@pytest.fixture
def scores(tmp_path: Path) -> Callable[[], pd.DataFrame]:
    """Every score in ``out``, in one order, without what names stages."""

    def call() -> pd.DataFrame:
        results = Results(tmp_path / "out")
        frame = results.scores()
        runs = results.runs()[["stage", "hyperparameters", "encoder"]]
        names = ["encoder", "intermediate", "intermediate_fraction", "target", "seed", "split", "language", "metric",
                 "step", "value", "is_main", "is_final", "hyperparameters"]  # fmt: skip
        return frame.merge(runs, on="stage")[names].sort_values(names[:9], ignore_index=True)

    return call


@pytest.fixture(scope="session")
def published(data_dir: Path) -> Path:
    """The folder of published tables beside the data."""
    found = data_dir.parent / "published"
    if not found.is_dir():
        pytest.skip("the published tables are not beside the data folder")
    return found
