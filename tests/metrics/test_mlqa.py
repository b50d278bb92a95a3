from __future__ import annotations

from functools import partial

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.metrics import squad
from raystilts.metrics.mlqa import LANGUAGES, normalize_answer

LANGUAGE = st.sampled_from(LANGUAGES)


def exact_match(prediction: str, golds: list[str], language: str) -> float:
    return squad.exact_match(prediction, golds, partial(normalize_answer, language=language))


def f1(prediction: str, golds: list[str], language: str) -> float:
    return squad.f1(prediction, golds, partial(normalize_answer, language=language))


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The cat, a dog!", "cat dog"),
        ("es", "El gato y unas casas de la ciudad", "gato y casas de ciudad"),
        ("de", "Die Katze des Nachbarn, einem Freund", "katze nachbarn freund"),
        ("vi", "những con mèo của tôi là cái gì", "con mèo tôi gì"),
        ("hi", "एक बिल्ली, the cat।", "एक बिल्ली the cat"),  # no articles, danda is punctuation
        ("ar", "البيت الكبير", "بيت كبير"),
        ("ar", "مثال", "مث"),  # cut inside a word too, as the published script does
        ("ar", "والبيت", "و بيت"),
        ("zh", "北京大学。the IBM 公司", "北 京 大 学 the ibm 公 司"),
        ("zh", "3.5公里", "35 公 里"),
        ("zh", "㐀㐁", "㐀㐁"),  # rare characters outside U+4E00..U+9FA5 stay together
        ("de", "der „Hund“ – und $5", "hund und 5"),
        ("es", "the cat", "the cat"),
        ("en", "der Hund", "der hund"),
        ("en", "", ""),
    ],
)
def test_normalised_answers(language: str, text: str, expected: str) -> None:
    assert normalize_answer(text, language) == expected


def test_articles_belong_to_the_language() -> None:
    assert exact_match("die Katze", ["Katze"], "de") == 1.0
    assert exact_match("die Katze", ["Katze"], "en") == 0.0
    assert squad.exact_match("die Katze", ["Katze"]) == 0.0


def test_chinese_is_compared_by_character() -> None:
    # 北 京 against 北 京 大 学: precision 1, recall 1/2. As one SQuAD token there is no overlap.
    assert f1("北京", ["北京大学"], "zh") == pytest.approx(2 / 3)
    assert squad.f1("北京", ["北京大学"]) == 0.0
    assert exact_match("北京 大学", ["北京大学。"], "zh") == 1.0


def test_f1_takes_the_best_gold() -> None:
    assert f1("el gato negro", ["perro", "un gato"], "es") == pytest.approx(2 / 3)


def test_an_empty_prediction_is_wrong() -> None:
    assert exact_match("", ["gato"], "es") == 0.0
    assert f1("", ["gato"], "es") == 0.0


def test_an_unknown_language_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=r"'fr' .*en, es, hi, vi, de, ar, zh.*'squad'"):
        f1("le chat", ["chat"], "fr")


def test_a_gold_answer_is_needed() -> None:
    with pytest.raises(ValueError, match="no gold answer"):
        exact_match("cat", [], "en")


@given(LANGUAGE, st.text(), st.lists(st.text(), max_size=2))
def test_gold_as_prediction(language: str, answer: str, others: list[str]) -> None:
    golds = [*others, answer]
    assert exact_match(answer, golds, language) == 1.0
    assume(normalize_answer(answer, language))
    assert f1(answer, golds, language) == 1.0


@given(LANGUAGE, st.text("el die ال中国a.", max_size=12), st.text("el die ال中国a.", max_size=12))
def test_range(language: str, prediction: str, gold: str) -> None:
    assert 0.0 <= f1(prediction, [gold], language) <= 1.0
