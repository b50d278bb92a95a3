from __future__ import annotations

import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.converters import CONVERTERS, get_converter

CASES = {
    "labelled": ({"label": [1, -1, 0]}, {"label": [1, 0]}),
    "answers_in_place": (
        {
            "context": ["a b a", "a b a", "x", "y"],
            "answers": [
                {"text": ["b", "a"], "answer_start": [3, 3]}, {"text": ["a"], "answer_start": [2]},
                {"text": ["z"], "answer_start": [4]}, {"text": [], "answer_start": []},
            ],
        },
        {
            "context": ["a b a", "a b a", "x", "y"],
            "answers": [
                {"text": ["b", "a"], "answer_start": [2, 4]}, {"text": ["a"], "answer_start": [0]},
                {"text": ["z"], "answer_start": [4]}, {"text": [], "answer_start": []},
            ],
            "moved": [2, 1, 0, 0],
        },
    ),
    "tydiqa_items": (
        {
            "id": ["arabic-1", "english-2"], "context": [" 12".strip(), "x"],
            "answers": [{"text": ["12"], "answer_start": [1]}, {"text": ["x"], "answer_start": [0]}],
        },
        {
            "id": ["arabic-1"], "context": ["12"], "answers": [{"text": ["12"], "answer_start": [0]}], "moved": [1],
        },
    ),
    "belebele_items": (
        {"context": ["c"], "question": ["q"], **{f"answer{i}": [str(i)] for i in range(4)}, "label": [2]},
        {
            "flores_passage": ["c"], "question": ["q"], **{f"mc_answer{i + 1}": [str(i)] for i in range(4)},
            "correct_answer_num": ["3"],
        },
    ),
    "mmlu_items": (
        {"context": ["c"], "question": ["q"], **{f"answer{i}": [str(i)] for i in range(4)}, "label": [2]},
        {
            "context": ["c"], "question": ["c q"], **{f"option_{'abcd'[i]}": [str(i)] for i in range(4)},
            "answer": ["C"],
        },
    ),
    "tatoeba_sentences": (
        {"sentence1": ["ja\n", None], "sentence2": ["yes\n", "no"]},
        {"source_sentence": ["ja", None], "target_sentence": ["yes", "no"]},
    ),
    "copa_question": (
        {"question": ["cause", "effect"]},
        {"question": ["What was the cause?", "What happened as a result?"]},
    ),
    "no_dates": ({"ner_tags": [["B-DATE", "I-DATE", "B-PER"]]}, {"ner_tags": [["O", "O", "B-PER"]]}),
    "premise_hypothesis": ({"sentence1": ["a"], "sentence2": ["b"]}, {"premise": ["a"], "hypothesis": ["b"]}),
    "inference_letters": (
        {"label": ["c", "e", "n", None]}, {"label": ["contradiction", "entailment", "neutral", None]},
    ),
    "sick_items": (
        {"sentence_A": ["a", "b"], "entailment_label": ["NEUTRAL", None]},
        {"sentence_A": ["a", "b"], "label": ["neutral", None]},
    ),
    "upos_column": ({"upos": [["X"]]}, {"pos_tags": [["X"]]}),
    "afriqa_items": (
        {
            "question_lang": ["a", "b", "c", "d"],
            "context": ["1951", "no", None, "oui"],
            "answer_pivot": [
                {"text": ["1951"], "answer_start": [0]}, {"text": ["No "], "answer_start": [0]},
                {"text": ["x"], "answer_start": [3]}, {"text": ["oui"], "answer_start": [0]},
            ],
        },
        {
            "question": ["a", "b", "c", "d"],
            "context": ["1951", "no", "", "oui"],
            "answers": [
                {"text": ["1951"], "answer_start": [0]}, {"text": ["No "], "answer_start": [-1]},
                {"text": ["x"], "answer_start": [-1]}, {"text": ["oui"], "answer_start": [-1]},
            ],
        },
    ),
    "bucc_sides": (
        {
            "id": ["de-1", "de-2", "en-1", "en-2", None], "sentence": ["a", "b", "A", "C", None],
            "source_id": [None, None, None, None, "de-1"], "target_id": [None, None, None, None, "en-1"],
        },
        {
            "side": ["source", "source", "target", "target", "pair"],
            "id": ["de-1", "de-2", "en-1", "en-2", None], "sentence": ["a", "b", "A", "C", None],
            "source_id": [None, None, None, None, "de-1"], "target_id": [None, None, None, None, "en-1"],
            "unit": ["de-1", "de-2", "de-1", "en-2", "de-1"],
        },
    ),
    "lareqa_sentences": (
        {
            "id": ["q1", "q2", "q3"], "context": ["One. Two. Two."] * 3, "question": ["1?", "2?", "gap?"],
            "answers": [{"text": [t], "answer_start": [s]} for t, s in (("One", 0), ("Two", 5), (" ", 4))],
            "sentence_breaks": [[[0, 4], [5, 9], [10, 14]]] * 3,
        },
        {
            "question": ["1?", "2?", None, None, None], "key": ["q1", "q2", None, None, None],
            "candidate": [None, None, "One.", "Two.", "Two."], "keys": [None, None, ["q1"], ["q2"], ["q2"]],
        },
    ),
    "mewsli_mentions": (
        {
            "context": [{"text": "Rain.\nIn Oslo  it rains.", "sentence_spans": [{"start": 0, "end": 5},
                                                                               {"start": 6, "end": 24}]}],
            "mentions": [[{"mention_span": {"start": 9, "end": 13, "text": "Oslo"}, "entity_id": "Q585"}]],
        },
        {"question": ["Oslo: In { Oslo }  it rains."], "key": ["Q585"], "candidate": [None], "keys": [None]},
    ),
    "mewsli_entities": (
        {
            "entity_id": ["Q585"], "description": ["Oslo is\na city.  It is old."],
            "sentence_spans": [[{"start": 0, "end": 15}, {"start": 17, "end": 27}]],
        },
        {"question": [None], "key": [None], "candidate": ["Oslo is a city. It is old."], "keys": [["Q585"]]},
    ),
    "similarity_as_label": (
        {"sentence1": ["A plane."], "sentence2": ["A bird."], "similarity_score": [1.25]},
        {"sentence1": ["A plane."], "sentence2": ["A bird."], "label": [1.25]},
    ),
    "quoted_cells": (
        {'"text"': ['"He said ""no""."', 'She "waited".', None], "label": [1, 0, 1]},
        {"text": ['He said "no".', 'She "waited".', None], "label": [1, 0, 1]},
    ),
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
