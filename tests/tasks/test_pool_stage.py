"""Mewsli-X in a stage, on rows of its published form: its pool is searched by every language, and not scored."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raystilts.planning.stages import plan
from raystilts.study.schema import Study
from raystilts.training.stage import run_stage

from .true_rows import TRUE_ROWS


@pytest.mark.slow
def test_a_pool_of_its_own_is_searched_and_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    names = {"test": "en/test", "dev": "en/validation", "pool": "all/candidates"}
    places = {split: tmp_path / "data" / "mewsli_x" / f"{name}.parquet" for split, name in names.items()}
    for split, path in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(TRUE_ROWS["mewsli_x"][split], path)
    one = Study.model_validate(
        {
            "name": "pool",
            "encoder": {"pooling": "mean", "retrieval_layer": -1},
            "intermediates": ["none"],
            "targets": [{"task": "mewsli_x", "languages": ["en"]}],
            "seeds": [0],
            "data_dir": str(tmp_path / "data"),
        }
    )
    [stage] = plan(one).of_kind("retrieval")
    result = run_stage(stage, one, tmp_path)
    assert {(score.split, score.language, score.metric) for score in result.scores} == {
        ("dev", "en", "map@20"), ("test", "en", "map@20"),
    }  # fmt: skip
    assert all(score.value >= 1 / 4 for score in result.scores)  # four candidates
    pq.write_table(TRUE_ROWS["mewsli_x"]["pool"].slice(0, 3), places["pool"])
    assert plan(one).of_kind("retrieval")[0].eval_key != stage.eval_key
