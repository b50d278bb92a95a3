from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.metrics.tagging import entity_f1, spans

TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"])
CORPORA = st.lists(st.lists(TAGS, min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-PER", "I-PER", "O", "B-LOC"], [("PER", 0, 1), ("LOC", 3, 3)]),
        (["B-PER", "B-PER"], [("PER", 0, 0), ("PER", 1, 1)]),
        (["O", "I-PER", "I-PER"], [("PER", 1, 2)]),  # I- starts a span
        (["I-PER", "O"], [("PER", 0, 0)]),
        (["B-PER", "I-LOC", "I-LOC"], [("PER", 0, 0), ("LOC", 1, 2)]),  # the type changes inside
        (["I-PER", "I-LOC"], [("PER", 0, 0), ("LOC", 1, 1)]),
        (["S-PER", "I-PER"], [("PER", 0, 0), ("PER", 1, 1)]),  # S- is complete in itself
        (["B-PER", "I-PER", "E-PER", "I-PER"], [("PER", 0, 2), ("PER", 3, 3)]),
        (["B-a-b", "I-a-b"], [("a-b", 0, 1)]),  # only the first hyphen separates
        (["B", "I"], [("_", 0, 1)]),  # a type need not be given
        (["O", "O"], []),
        ([], []),
    ],
)
def test_spans_of_one_sentence(tags: list[str], expected: list[tuple[str, int, int]]) -> None:
    assert spans([tags]) == expected


def test_a_span_ends_with_its_sentence() -> None:
    assert spans([["B-PER"], ["I-PER"]]) == [("PER", 0, 0), ("PER", 2, 2)]


def test_a_span_without_a_type_may_be_lost_or_reach_back() -> None:
    # "X" at the end of a sentence has the type of the "O" after it, so nothing ends it. At the
    # start of a later sentence nothing starts it either: the span keeps an older start.
    assert spans([["NOUN", "X"]]) == [("OUN", 0, 0)]
    assert spans([["NOUN"], ["X", "NOUN"]]) == [("OUN", 0, 0), ("_", 0, 2), ("OUN", 3, 3)]


def test_f1_pools_spans_over_types_and_sentences() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    pred = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "O"]]
    # One right of two found and three wanted.
    assert entity_f1(pred, gold) == pytest.approx(2 * 1 / (2 + 3))


def test_a_span_with_a_wrong_end_counts_on_both_sides() -> None:
    assert entity_f1([["B-PER", "O", "O"]], [["B-PER", "I-PER", "O"]]) == 0.0


def test_an_inside_tag_that_starts_a_span_is_as_good_as_a_begin_tag() -> None:
    assert entity_f1([["O", "I-PER", "I-PER"]], [["O", "B-PER", "I-PER"]]) == 1.0


def test_no_spans_at_all_is_zero_as_in_seqeval() -> None:
    assert entity_f1([["O", "O"]], [["O", "O"]]) == 0.0


@pytest.mark.parametrize(
    ("pred", "gold", "message"),
    [
        ([["O"]], [["O"], ["O"]], "1 predictions for 2 gold items"),
        ([["O"], ["O"]], [["O"], ["O", "O"]], "sentence 1 has 1 predicted and 2 gold tags"),
        ([], [], "no items to score"),
        ([[""]], [["O"]], "tag at position 0 is empty"),
    ],
)
def test_what_cannot_be_scored(pred: list[list[str]], gold: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entity_f1(pred, gold)


@given(CORPORA)
def test_gold_as_prediction_is_one(gold: list[list[str]]) -> None:
    has_span = any(tag != "O" for sentence in gold for tag in sentence)
    assert entity_f1(gold, gold) == float(has_span)


@given(CORPORA, st.data())
def test_range_and_symmetry(gold: list[list[str]], data: st.DataObject) -> None:
    pred = [data.draw(st.lists(TAGS, min_size=len(s), max_size=len(s))) for s in gold]
    assert 0.0 <= entity_f1(pred, gold) <= 1.0
    assert entity_f1(pred, gold) == entity_f1(gold, pred)


@given(CORPORA)
def test_sentences_do_not_touch_each_other(gold: list[list[str]]) -> None:
    assert len(spans(gold)) == sum(len(spans([sentence])) for sentence in gold)
