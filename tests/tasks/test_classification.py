from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.classification import SequenceClassification

NLI = SequenceClassification(text="premise", text_pair="hypothesis", labels=("entailment", "neutral", "contradiction"))


def rows(labels: list[Any]) -> pa.Table:
    texts = [f"the token {i}" for i in range(len(labels))]
    return pa.table({"premise": texts, "hypothesis": ["is"] * len(labels), "label": labels})


@pytest.mark.parametrize("labels", [[0, 2, 1], ["0", "2", "1"], ["entailment", "contradiction", "neutral"]])
def test_labels_as_indices_digits_and_names(tiny_tokenizer: Any, labels: list[Any]) -> None:
    features = NLI.encode(rows(labels), tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.labels.tolist() == [0, 2, 1]
    assert features.labels.dtype == np.int64
    assert features.input_ids.values.dtype == np.int32
    assert features.example.tolist() == [0, 1, 2]


@pytest.mark.parametrize("bad", [3, -1, "entails", None, True])
def test_unknown_label_is_refused(tiny_tokenizer: Any, bad: Any) -> None:
    table = rows([0, 1]).set_column(2, "label", pa.array([bad]).take(pa.array([0, 0])))
    with pytest.raises(UserError, match=r"(no|unknown) label in 2 rows \(0, 1\): .*; allowed: entailment, neutral"):
        NLI.encode(table, tiny_tokenizer, max_length=32, training=True)


def test_predict_and_score() -> None:
    table = rows([0, 1, 2])
    logits = np.array([[2, 1, 0], [0, 1, 2], [0, 0, 1]], dtype=np.float32)
    predictions = NLI.predict(logits, None, table)  # type: ignore[arg-type]
    assert predictions == [0, 2, 2]
    assert NLI.score(predictions, table, "en") == {"accuracy": pytest.approx(2 / 3)}


def test_f1_of_the_positive_class() -> None:
    paraphrase = SequenceClassification(text="premise", labels=("no", "yes"), positive=1)
    assert paraphrase.score([1, 1, 0], rows([1, 0, 1]), "en") == {
        "accuracy": pytest.approx(1 / 3),
        "f1": pytest.approx(0.5),
    }


def test_check_names_rows() -> None:
    assert list(map(str, NLI.check(rows(["0", "x"]), "en"))) == [
        "unknown label in 1 row (1): 'x'; allowed: entailment, neutral, contradiction, or 0 to 2"
    ]
    blank = pa.table({"premise": ["a", " ", ""], "hypothesis": ["b"] * 3, "label": [0, 1, 2]})
    assert list(map(str, NLI.check(blank, "en"))) == ["empty 'premise' in 2 rows (1, 2)"]
    assert NLI.check(rows([0, 1]), "en") == []


def test_missing_column_names_the_nearest(tiny_tokenizer: Any) -> None:
    table = rows([0]).rename_columns(["premises", "hypothesis", "label"])
    with pytest.raises(UserError, match="column 'premise' is missing; did you mean 'premises'"):
        NLI.encode(table, tiny_tokenizer, max_length=32, training=True)


@pytest.mark.parametrize("metric", ["macro_f1", "weighted_f1"])
def test_means_of_the_classes_f1_where_they_are_asked_for(metric: str) -> None:
    """By hand: F1 is 1 for the first class, 0 for the second (predicted and never right), 0.8 for the third."""
    asked = NLI.with_metric(metric)
    gold, predicted = rows([0, 2, 2, 2, 0]), [0, 2, 2, 1, 0]
    scores = asked.score(predicted, gold, "en")
    assert metric in asked.metrics
    assert metric not in NLI.metrics
    assert metric not in NLI.score(predicted, gold, "en")
    wanted = {"macro_f1": (1.0 + 0.0 + 0.8) / 3, "weighted_f1": (2 * 1.0 + 3 * 0.8) / 5}
    assert scores[metric] == pytest.approx(wanted[metric])
    assert NLI.model_dump(mode="json") == {k: v for k, v in asked.model_dump(mode="json").items() if k != "averages"}


def test_an_unknown_metric_is_refused_with_what_there_is() -> None:
    with pytest.raises(UserError, match="metric: no 'macro-f1'; did you mean 'macro_f1'"):
        NLI.with_metric("macro-f1")
    with pytest.raises(UserError, match="sib200: metric: no 'bleu'; known: accuracy, macro_f1, weighted_f1"):
        get_task("sib200").by_metric("bleu")
    with pytest.raises(UserError, match="udpos: metric: no 'f1'"):
        get_task("udpos").by_metric("f1")
    assert get_task("udpos").by_metric("accuracy").main_score == "accuracy"
