"""What earlier studies and the tasks' texts say of a study's arms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from raystilts.analysis.known_elsewhere import Ranked, earlier_ranking, ranked_text, text_ranking
from raystilts.cli.common import app
from raystilts.errors import UserError
from raystilts.importing.table import import_table
from raystilts.planning.stages import plan
from raystilts.results.earlier import earlier_scores
from raystilts.scheduling.outstanding import promising_first
from raystilts.study.schema import Study
from raystilts.training.task_similarity import cosines

ARMS = ("none", "cldr_names", "cldr_same", "cldr_units")


def an_earlier_study(folder: Path) -> Path:
    """Imported from a table: on cldr_dates cldr_same is the best arm, on xnli the worst."""
    levels = {"none": 30, "cldr_names": 40, "cldr_same": 60, "other": 50}
    rows = [
        f"{arm},{target},{seed},accuracy,{(level if target == 'cldr_dates' else 100 - level) + seed}"
        for target in ("cldr_dates", "xnli")
        for arm, level in levels.items()
        for seed in (0, 1)
    ]
    table = folder.with_suffix(".csv")
    table.write_text("\n".join(["intermediate,target,seed,metric,value", *rows]), encoding="utf-8")
    import_table(table, folder)
    return folder


def a_study(folder: Path, **changes: Any) -> Study:
    return Study.model_validate({
        "name": "x", "storage_path": str(folder), "intermediates": list(ARMS), "seeds": [0],
        "targets": [{"task": "cldr_dates", "languages": ["en"]}], **changes,
    })  # fmt: skip


def test_scores_by_target_and_arm(tmp_path: Path) -> None:
    found = earlier_scores(an_earlier_study(tmp_path / "early"))
    assert set(found) == {"cldr_dates", "xnli"}
    assert found["cldr_dates"]["cldr_same"] == pytest.approx([0.6, 0.61])
    assert found["xnli"]["none"] == pytest.approx([0.7, 0.71])
    with pytest.raises(UserError, match="does not exist"):
        earlier_scores(tmp_path / "nowhere")


def test_earlier_studies_rank_what_they_know(tmp_path: Path) -> None:
    early = str(an_earlier_study(tmp_path / "early"))
    found = earlier_ranking(a_study(tmp_path), [early])
    assert [one.intermediate for one in sorted(found, key=lambda one: -one.score)] == [
        "cldr_same",
        "cldr_names",
        "none",
    ]
    with pytest.raises(UserError, match="no target and arm of this study by the same names"):
        earlier_ranking(a_study(tmp_path, targets=[{"task": "cldr_choice", "languages": ["en"]}]), [early])


def test_a_results_folder_says_what_runs_first(tmp_path: Path) -> None:
    planned = plan(a_study(tmp_path))
    places = promising_first(planned, str(an_earlier_study(tmp_path / "early")))
    ranks = {planned.stages[key].intermediate.label: place for key, place in places.items()}
    assert ranks == {"cldr_same": 1, "cldr_names": 2, "none": 3, "cldr_units": 4}


def test_predict_writes_what_run_reads(tmp_path: Path) -> None:
    early = an_earlier_study(tmp_path / "early")
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(a_study(tmp_path).model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    shown = CliRunner().invoke(app, ["predict", str(file), "--first", str(early), "--json"])
    assert shown.exit_code == 0, shown.output
    (tmp_path / "p.json").write_text(shown.stdout, encoding="utf-8")
    planned = plan(a_study(tmp_path))
    assert promising_first(planned, tmp_path / "p.json") == promising_first(planned, early)
    refused = CliRunner().invoke(app, ["predict", str(file), "--first", str(early), "--text"])
    assert refused.exit_code != 0


def test_similarity_by_hand() -> None:
    """Three tasks around their centre (0, 0); the mixture of b and c lies opposite a."""
    states = {"a": np.array([2.0, 0.0]), "b": np.array([-1.0, 1.0]), "c": np.array([-1.0, -1.0])}
    found = {arm: score for (_, arm), score in cosines(states, ["a"], {"b": ["b"], "b+c": ["b", "c"]}).items()}
    assert found == {"b": pytest.approx(-(0.5**0.5)), "b+c": pytest.approx(-1.0)}


def test_texts_of_a_task_are_most_like_themselves(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    study = a_study(
        tmp_path, encoder={"model_name_or_path": str(tiny_encoder)},
        intermediates=["none", "cldr_names", "cldr_dates", {"tasks": ["cldr_dates", "cldr_names"]}],
    )  # fmt: skip
    found = {one.intermediate: one.score for one in text_ranking(study, 32)}
    assert "none" not in found
    assert len(found) == 3
    assert found["cldr_dates"] == pytest.approx(1.0)
    assert found["cldr_names"] < 0.9


def test_words(tmp_path: Path) -> None:
    text = ranked_text([Ranked("t", "a", 0.1), Ranked("t", "b", 0.7)], "earlier studies", [])
    assert text.index("  b ") < text.index("  a ")
    assert "how good these rankings are is not known" in text
    assert max(map(len, text.splitlines())) <= 80
