from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raystilts.metrics.squad import exact_match, exact_match_v2, f1, f1_v2, normalize_answer, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat, sat\ton a Mat!", "cat sat on mat"),
        ("U.S.", "us"),
        ("the-cat", "thecat"),  # punctuation goes first, so no article is left to see
        ("an other theory", "other theory"),  # whole words only
        ("A.", ""),  # an article once the full stop is gone
        ("$5.00", "500"),
        ("Berlin。", "berlin。"),  # ASCII punctuation only, whatever the language
        ("«der Hund»", "«der hund»"),  # English articles only
        ("北京 大学", "北京 大学"),
        ("", ""),
    ],
)
def test_normalised_answers(text: str, expected: str) -> None:
    assert normalize_answer(text) == expected


def test_exact_match_ignores_case_articles_and_punctuation() -> None:
    assert exact_match("the Broncos.", ["Denver Broncos", "Broncos"]) == 1.0
    assert exact_match("Denver", ["Denver Broncos", "Broncos"]) == 0.0


def test_f1_takes_the_best_gold() -> None:
    # "denver broncos team" with "denver broncos": precision 2/3, recall 1; with "broncos": 1/3, 1.
    golds = ["Broncos", "the Denver Broncos"]
    assert f1("Denver Broncos team", golds) == pytest.approx(0.8)
    assert f1("Denver Broncos team", golds[:1]) == pytest.approx(0.5)


def test_repeated_tokens_count_as_often_as_both_have_them() -> None:
    assert token_f1(["x", "x", "y"], ["x", "y", "y"]) == pytest.approx(2 / 3)


def test_an_empty_prediction_is_wrong() -> None:
    assert exact_match("", ["cat"]) == 0.0
    assert f1("", ["cat"]) == 0.0


def test_answers_without_a_token_match_but_have_no_f1_in_v1() -> None:
    assert exact_match("the", ["The"]) == 1.0
    assert f1("the", ["The"]) == 0.0
    assert f1_v2("the", ["The"]) == 1.0


def test_v1_needs_a_gold_answer() -> None:
    with pytest.raises(ValueError, match="no gold answer: score it with exact_match_v2"):
        exact_match("cat", [])
    with pytest.raises(ValueError, match="no gold answer: score it with exact_match_v2"):
        f1("cat", [])


@pytest.mark.parametrize("golds", [[], [""], ["the"], ["..."]])
def test_v2_without_an_answer_wants_an_empty_prediction(golds: list[str]) -> None:
    assert (exact_match_v2("", golds), f1_v2("", golds)) == (1.0, 1.0)
    assert (exact_match_v2("cat", golds), f1_v2("cat", golds)) == (0.0, 0.0)


def test_v2_with_an_answer() -> None:
    assert (exact_match_v2("", ["cat"]), f1_v2("", ["cat"])) == (0.0, 0.0)
    assert f1_v2("black cat", ["cat", "a dog"]) == pytest.approx(2 / 3)
    assert exact_match_v2("the cat", ["dog", "Cat"]) == 1.0
    # A gold without a token does not make an empty prediction right while another has one.
    assert exact_match_v2("", ["cat", "the"]) == 0.0


@given(st.text(), st.lists(st.text(), max_size=3))
def test_gold_as_prediction(answer: str, others: list[str]) -> None:
    golds = [*others, answer]
    assert exact_match(answer, golds) == 1.0
    assume(normalize_answer(answer))
    assert f1(answer, golds) == 1.0
    assert exact_match_v2(answer, golds) == f1_v2(answer, golds) == 1.0


@given(st.text("the catA.", max_size=12), st.lists(st.text("the catA.", max_size=12), min_size=1))
def test_range_and_exact_below_f1(prediction: str, golds: list[str]) -> None:
    assert 0.0 <= f1(prediction, golds) <= 1.0
    assert exact_match_v2(prediction, golds) <= f1_v2(prediction, golds) <= 1.0


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalize_answer(text)
    assert once == " ".join(once.split())
    assert normalize_answer(once) == once
