from __future__ import annotations

import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.converters import CONVERTERS, get_converter

CASES = {
    "labelled": ({"label": [1, -1, 0]}, {"label": [1, 0]}),
    "language_by_id": ({"id": ["arabic-1", "english-2"]}, {"id": ["arabic-1"]}),
    "copa_question": (
        {"question": ["cause", "effect"]},
        {"question": ["What was the cause?", "What happened as a result?"]},
    ),
    "no_dates": ({"ner_tags": [["B-DATE", "I-DATE", "B-PER"]]}, {"ner_tags": [["O", "O", "B-PER"]]}),
    "premise_hypothesis": ({"sentence1": ["a"], "sentence2": ["b"]}, {"premise": ["a"], "hypothesis": ["b"]}),
    "upos_column": ({"upos": [["X"]]}, {"pos_tags": [["X"]]}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CONVERTERS))
def test_converters(name: str) -> None:
    given, expected = CASES[name]
    once = get_converter(name)(pa.table(given), "ar")
    assert once.to_pydict() == expected
    assert get_converter(name)(once, "ar").to_pydict() == expected


def test_labels_as_strings_are_dropped_too() -> None:
    assert get_converter("labelled")(pa.table({"label": ["-1", "neutral"]}), "en")["label"].to_pylist() == ["neutral"]


def test_unknown_converter() -> None:
    with pytest.raises(UserError, match="converter: 'label' is unknown; did you mean 'labelled'"):
        get_converter("label")
