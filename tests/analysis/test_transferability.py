from __future__ import annotations

from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raystilts.analysis.transferability import (
    Prediction,
    _row,
    checkpoint_places,
    ndcg,
    predict_study,
    predictions_text,
    random_regret_at,
    regret_at,
)
from raystilts.errors import UserError
from raystilts.planning.encoders import describe_encoder
from raystilts.planning.stages import plan
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.training.checkpoints import Checkpoints
from raystilts.training.data import DataReader
from raystilts.training.embeddings import labelled_states
from raystilts.training.encoder import pretrained
from raystilts.training.stage import run_stage


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)


def a_study(encoder: Path, folder: Path, **changes: Any) -> Study:
    return Study.model_validate({
        "name": "x", "encoder": {"model_name_or_path": str(encoder)}, "storage_path": str(folder),
        "intermediates": ["none", "cldr_names"], "targets": [{"task": "cldr_units", "languages": ["en"]}],
        "seeds": [0, 1], "hyperparameters": {"max_train_samples": 32, "max_length": 48, "num_train_epochs": 1},
        "evaluation": {"max_dev_samples": 8, "max_test_samples": 8}, **changes,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("task", "classes"), [("cldr_units", 11), ("cldr_choice", 2), ("cldr_dates", 13), ("cldr_span", 2)]
)
def test_rows_and_labels_of_each_type(tiny_encoder: Path, tmp_path: Path, task: str, classes: int) -> None:
    loaded = pretrained(describe_encoder(a_study(tiny_encoder, tmp_path).encoder))
    model = loaded.restore(None, torch.device("cpu"))
    features = DataReader(loaded, None).training(get_task(task), Hyperparameters(max_train_samples=40, max_length=64))
    found = labelled_states(model, get_task(task), features, 1, "mean", 60)
    assert found.embeddings.shape == (len(found.labels), 32)
    assert 10 < len(found.labels) <= 60
    assert len(np.unique(found.labels)) <= classes
    if task == "cldr_span":
        assert (found.labels == 1).sum() == (found.labels == 0).sum()


def test_a_choice_has_one_right_row(tiny_encoder: Path, tmp_path: Path) -> None:
    loaded = pretrained(describe_encoder(a_study(tiny_encoder, tmp_path).encoder))
    task = get_task("cldr_choice")
    features = DataReader(loaded, None).training(task, Hyperparameters(max_train_samples=12, max_length=64))
    model = loaded.restore(None, torch.device("cpu"))
    found = labelled_states(model, task, features, 1, "mean", 10_000)
    assert found.labels.sum() == 12
    assert len(found.labels) == 12 * task.type.num_labels


def test_checkpoints_that_are_not_there_and_a_ranking_where_they_are(tiny_encoder: Path, tmp_path: Path) -> None:
    one = a_study(tiny_encoder, tmp_path)
    planned = plan(one)
    with pytest.raises(UserError, match=r"2 of 2 intermediate checkpoints are not in .* --intermediates-only"):
        predict_study(one, 32)
    for stage in planned.of_kind("intermediate"):
        run_stage(stage, one, tmp_path / "checkpoints")
    assert len(checkpoint_places(planned)) == 3
    found = predict_study(one, 32)
    assert [(p.target, p.intermediate, p.seeds) for p in found] == [
        ("cldr_units", "none", 1), ("cldr_units", "cldr_names", 2),
    ]  # fmt: skip
    assert all(np.isfinite([p.logme, p.h_score]).all() for p in found)
    text = predictions_text(found, [])
    assert "how good these rankings are is not known" in text
    assert max(map(len, text.splitlines())) <= 80


def test_an_arm_with_the_label_of_a_sequences_prefix_is_its_own_training(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = "cldr_names", "cldr_units", "cldr_dates"
    for arms in permutations(({"task": c, "name": f"{a}_then_{b}"}, {"sequence": [a, b, c]})):
        one = a_study(tiny_encoder, tmp_path, intermediates=["none", *arms], seeds=[0])
        planned = plan(one)
        monkeypatch.setattr(Checkpoints, "find", lambda self, key: Path(key))
        place = checkpoint_places(planned)[f"{a}_then_{b}", 0]
        [own] = [stage for stage in planned.of_kind("intermediate")
                 if [task.task.name for task in stage.tasks] == [c] and stage.parent is None]  # fmt: skip
        assert place == Path(own.train_key)


def test_a_ranking_against_the_grid() -> None:
    row = _row("t", "logme", [3.0, 2.0, 1.0, 0.0], [0.4, 0.5, 0.8, 0.6])
    assert (row["regret@1"], row["regret@3"]) == (pytest.approx(0.5), 0)
    chance = _row("t", "chance", None, [0.4, 0.5, 0.8, 0.6])
    assert chance["regret@1"] == pytest.approx((0.8 - 0.575) / 0.8)
    assert 0.5 < chance["ndcg"] < 0.95
    text = predictions_text([Prediction("t", "a", 1, 0.1, 0.2)], [row, chance])
    assert "Mean regret@3: LogME 0.0%" in text
    assert max(map(len, text.splitlines())) <= 80


OUTCOME = [0.5, 0.8, 0.6, 0.4]


def test_regret_of_the_first_k() -> None:
    predicted = [3.0, 1.0, 2.0, 0.0]  # the order 0, 2, 1, 3
    assert regret_at(predicted, OUTCOME, 1) == pytest.approx(0.3 / 0.8)
    assert regret_at(predicted, OUTCOME, 2) == pytest.approx(0.2 / 0.8)
    assert regret_at(predicted, OUTCOME, 3) == 0
    assert regret_at([0.0] * 4, [0.0] * 4, 1) == 0


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_regret_of_chance_is_the_mean_over_all_picks(k: int) -> None:
    picks = [max(OUTCOME[i] for i in pick) for pick in combinations(range(4), k)]
    assert random_regret_at(OUTCOME, k) == pytest.approx((0.8 - np.mean(picks)) / 0.8)


def test_ndcg_of_the_best_order_the_worst_and_a_known_one() -> None:
    assert ndcg(OUTCOME, OUTCOME) == 1
    assert ndcg([1.0, 0.0], [0.2, 0.9]) == pytest.approx(1 / np.log2(3))
    assert ndcg([-value for value in OUTCOME], OUTCOME) < 0.8
    assert ndcg([1.0, 2.0], [0.5, 0.5]) == 1
