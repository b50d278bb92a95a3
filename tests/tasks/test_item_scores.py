"""Scores of single items: for metrics that are means over items, their mean is the score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.tasks.types.base import TaskType
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.tasks.types.multiple_choice import MultipleChoice
from raystilts.tasks.types.retrieval import AnswerRetrieval, Retrieval
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging

CLASSES = pa.table({"text": ["a", "b", "c", "d"], "label": ["x", "y", "x", "x"]})
ANSWERS = pa.table({
    "id": ["1", "2", "3"], "context": ["c"] * 3, "question": ["q"] * 3,
    "answers": [{"text": ["the red fox"], "answer_start": [0]}] * 3,
})  # fmt: skip
QUESTIONS = pa.table({
    "question": ["q1", "q2", None, None], "key": ["1", "2", None, None],
    "candidate": [None, None, "c1", "c2"], "keys": [None, None, ["1"], ["2"]],
})  # fmt: skip
CASES: list[tuple[TaskType, pa.Table, list[Any], str, list[float]]] = [
    (SequenceClassification(text="text", labels=("x", "y")), CLASSES, [0, 1, 1, 0], "accuracy", [1, 1, 0, 1]),
    (SpanQA(context="context", question="question", answers="answers"), ANSWERS, ["red fox", "fox", "dog"], "em_f1",
     [1.0, 1 / 3, 0.0]),
    (SpanQA(context="context", question="question", answers="answers"), ANSWERS, ["red fox", "fox", "dog"], "f1",
     [1.0, 2 / 3, 0.0]),
    (SpanQA(context="context", question="question", answers="answers"), ANSWERS, ["red fox", "fox", "dog"],
     "exact_match", [1.0, 0.0, 0.0]),
    (Retrieval(query="a", candidate="b"), pa.table({"a": ["x", "y"], "b": ["z", "w"]}), [0, 0], "accuracy", [1, 0]),
    (AnswerRetrieval(), QUESTIONS, [[1], [2]], "map", [1.0, 0.5]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "rows", "predictions", "metric", "wanted"), CASES)
def test_their_mean_is_the_score(
    kind: TaskType, rows: pa.Table, predictions: list[Any], metric: str, wanted: list[float]
) -> None:
    found = kind.item_scores(predictions, rows, "en", metric)
    assert found == pytest.approx(wanted)
    assert np.mean(found) == pytest.approx(kind.score(predictions, rows, "en")[metric])


def test_a_choice_is_right_or_wrong() -> None:
    kind = MultipleChoice(context="c", choices=("a", "b"), label="label", labels=("0", "1"))
    rows = pa.table({"c": ["x", "y"], "a": ["1", "1"], "b": ["2", "2"], "label": [0, 1]})
    assert kind.item_scores([0, 0], rows, "en", "accuracy") == [1.0, 0.0]


def test_sentences_have_their_own_f1() -> None:
    kind = Tagging(tokens="tokens", tags="tags", labels=("O", "B-PER", "I-PER"), scores="entities")
    rows = pa.table({"tokens": [["a", "b"], ["c"], ["d", "e"]], "tags": [["B-PER", "O"], ["O"], ["B-PER", "B-PER"]]})
    predicted = [["B-PER", "O"], ["O"], ["B-PER", "O"]]
    assert kind.item_scores(predicted, rows, "en", "f1") == pytest.approx([1.0, 1.0, 2 / 3])
