from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
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
