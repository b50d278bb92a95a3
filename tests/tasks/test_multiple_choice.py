from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.types.multiple_choice import MultipleChoice

LISTED = MultipleChoice(context="{ctx}", choices=("endings",), labels=("0", "1"))
NESTED = MultipleChoice(context="{q}", choices=("choices.text",), label="key", labels=("A", "B"))
COLUMNS = MultipleChoice(
    context="{premise}", choice="{question} {choice}", choices=("choice1", "choice2"), labels=("0", "1")
)


def test_columns() -> None:
    assert LISTED.columns() == ("ctx", "endings", "label")
    assert NESTED.columns() == ("q", "choices", "key")
    assert COLUMNS.columns() == ("premise", "question", "choice1", "choice2", "label")
    assert COLUMNS.item_columns() == ("premise", "question", "choice1", "choice2")


def test_choices_lie_one_after_the_other(tiny_tokenizer: Any) -> None:
    table = pa.table({"ctx": ["a", "b"], "endings": [["c", "d"], ["e", "f"]], "label": ["1", "0"]})
    features = LISTED.encode(table, tiny_tokenizer, max_length=32, training=True)
    assert features.example.tolist() == [0, 0, 1, 1]
    assert features.labels is not None
    assert features.labels.tolist() == [1, 0]
    texts = [tiny_tokenizer.decode(row, skip_special_tokens=False) for row in features.input_ids]
    assert [text.replace(" ", "").replace("▁", "") for text in texts] == [
        f"<s>{a}</s></s>{b}</s>" for a, b in ("ac", "ad", "be", "bf")
    ]


def test_choices_in_a_struct(tiny_tokenizer: Any) -> None:
    table = pa.table({"q": ["a"], "choices": [{"label": ["A", "B"], "text": ["c", "d"]}], "key": ["B"]})
    features = NESTED.encode(table, tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.labels.tolist() == [1]
    assert NESTED.check(table, "en") == []


@pytest.mark.parametrize("label", [1, "1", "choice2"])
def test_choices_in_columns(tiny_tokenizer: Any, label: Any) -> None:
    table = pa.table({"premise": ["a"], "question": ["b"], "choice1": ["c"], "choice2": ["d"], "label": [label]})
    features = COLUMNS.encode(table, tiny_tokenizer, max_length=32, training=True)
    assert features.labels is not None
    assert features.labels.tolist() == [1]


def test_wrong_rows_are_named(tiny_tokenizer: Any) -> None:
    table = pa.table({"ctx": ["a", "b"], "endings": [["c"], ["e", ""]], "label": ["1", "7"]})
    assert list(map(str, LISTED.check(table, "en"))) == [
        "unknown label in 1 row (1): '7'; allowed: 0, 1",
        "not 2 choices in 1 row (0): 1; allowed: 2",
        "empty choice in 1 row (1)",
    ]
    with pytest.raises(UserError, match=r"unknown label in 1 row \(1\): '7'; allowed: 0, 1"):
        LISTED.encode(table, tiny_tokenizer, max_length=32, training=True)
    with pytest.raises(UserError, match="label of row 1: '7' is not a label; allowed: 0, 1"):
        LISTED.score([0, 0], table, "en")


def test_predict_and_score() -> None:
    table = pa.table({"ctx": ["a", "b"], "endings": [["c", "d"], ["e", "f"]], "label": ["1", "0"]})
    predictions = LISTED.predict(np.array([[0, 1], [0, 1]], dtype=np.float32), None, table)  # type: ignore[arg-type]
    assert predictions == [1, 1]
    assert LISTED.score(predictions, table, "en") == {"accuracy": 0.5}
