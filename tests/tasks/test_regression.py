from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.tasks.types.regression import Regression

STSB = Regression(text="sentence1", text_pair="sentence2", label="label", high=5.0)


def rows(labels: list[Any]) -> pa.Table:
    texts = [f"the token {i}" for i in range(len(labels))]
    return pa.table({"sentence1": texts, "sentence2": ["is"] * len(labels), "label": labels})


@pytest.mark.parametrize("labels", [[0.0, 5.0, 3.8], ["0", "5.0", "3.8"], [0, 5, 3]])
def test_labels_go_from_zero_to_one(tiny_tokenizer: Any, labels: list[Any]) -> None:
    features = STSB.encode(rows(labels), tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.labels.dtype == np.float32
    np.testing.assert_allclose(features.labels, [float(label) / 5 for label in labels], rtol=1e-6)
    assert features.example.tolist() == [0, 1, 2]


def test_predictions_are_on_the_scale_of_the_data() -> None:
    from_one = Regression(text="sentence1", low=1.0, high=5.0)
    outputs = np.array([[0.0], [0.5], [1.25]], dtype=np.float32)
    assert from_one.predict(outputs, None, rows([1, 2, 3])) == [1.0, 3.0, 6.0]  # type: ignore[arg-type]


def test_scores_are_both_correlations_and_their_mean() -> None:
    found = STSB.score([1.0, 2.0, 4.0, 3.0], rows([0.5, 2.0, 3.0, 4.5]), "en")
    # Means 2.5; products of the differences add up to 5, squares to 5 and 8.5; of four ranks two are exchanged.
    pearson = 5.0 / math.sqrt(5.0 * 8.5)
    assert found == {
        "pearson": pytest.approx(pearson),
        "spearman": pytest.approx(0.8),
        "pearson_spearman": pytest.approx((pearson + 0.8) / 2),
    }
    assert STSB.score([4.0, 3.0], rows([1.0, 2.0]), "en")["pearson_spearman"] == 0.0


def test_a_study_may_ask_for_one_of_them() -> None:
    task = get_task("stsb")
    assert task.main_score == "pearson_spearman"
    assert task.by_metric("spearman").main_score == "spearman"
    with pytest.raises(UserError, match="stsb: metric: no 'accuracy'; known: pearson, pearson_spearman, spearman"):
        task.by_metric("accuracy")


def test_the_definition_survives_json() -> None:
    task = get_task("stsb")
    assert Task.model_validate_json(task.model_dump_json()).type == STSB


def test_a_scale_has_two_ends() -> None:
    with pytest.raises(ValidationError, match="low 5 is not below high 5"):
        Regression(text="a", low=5.0, high=5.0)


def test_translations_name_their_scores_otherwise(tmp_path: Path) -> None:
    table = rows([4.0, 1.5]).rename_columns(["sentence1", "sentence2", "similarity_score"])
    folder = tmp_path / "stsb" / "de"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "test.parquet")
    task = get_task("stsb")
    assert task.type.gold(task.load_test("de", tmp_path)) == [4.0, 1.5]
