from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts.metrics.tagging import token_accuracy, xtreme_pos_f1

UPOS = ["ADJ", "AUX", "CCONJ", "INTJ", "NOUN", "PROPN", "SCONJ", "SYM", "VERB", "X", "_"]
CORPORA = st.lists(st.lists(st.sampled_from(UPOS), min_size=1, max_size=8), min_size=1, max_size=4)


def test_the_two_conjunctions_are_one_type_to_xtreme() -> None:
    pred, gold = [["SCONJ", "VERB"]], [["CCONJ", "VERB"]]
    assert xtreme_pos_f1(pred, gold) == 1.0
    assert token_accuracy(pred, gold) == 0.5


def test_runs_of_one_tag_are_one_span_to_xtreme() -> None:
    pred, gold = [["NOUN", "NOUN", "VERB"]], [["NOUN", "PROPN", "VERB"]]
    # Found NOUN NOUN | VERB, wanted NOUN | PROPN | VERB: one right of two and three.
    assert xtreme_pos_f1(pred, gold) == pytest.approx(0.4)
    assert token_accuracy(pred, gold) == pytest.approx(2 / 3)


def test_runs_of_tags_that_begin_with_s_are_cut() -> None:
    # SYM SYM is two spans, NOUN NOUN one: in each, one of two tags is wrong.
    assert xtreme_pos_f1([["SYM", "SYM"]], [["SYM", "VERB"]]) == pytest.approx(0.5)
    assert xtreme_pos_f1([["NOUN", "NOUN"]], [["NOUN", "VERB"]]) == 0.0


def test_x_at_the_end_of_a_sentence_is_not_counted() -> None:
    assert xtreme_pos_f1([["NOUN", "X"]], [["NOUN", "X"]]) == 1.0
    assert xtreme_pos_f1([["NOUN", "X"]], [["NOUN", "_"]]) == 1.0
    assert xtreme_pos_f1([["X"]], [["X"]]) == 0.0
    assert token_accuracy([["X"]], [["X"]]) == 1.0


def test_token_accuracy_weighs_words_not_sentences() -> None:
    assert token_accuracy(
        [["NOUN"], ["VERB", "ADJ", "ADV"]], [["VERB"], ["VERB", "ADJ", "ADV"]]
    ) == (0.75)


def test_lengths_must_match_and_words_exist() -> None:
    with pytest.raises(ValueError, match="sentence 0 has 1 predicted and 2 gold tags"):
        token_accuracy([["NOUN"]], [["NOUN", "VERB"]])
    with pytest.raises(ValueError, match="no words to score"):
        token_accuracy([[]], [[]])


@given(CORPORA, st.data())
def test_range_and_gold_as_prediction(gold: list[list[str]], data: st.DataObject) -> None:
    tag = st.sampled_from(UPOS)
    pred = [data.draw(st.lists(tag, min_size=len(s), max_size=len(s))) for s in gold]
    assert token_accuracy(gold, gold) == 1.0
    assert xtreme_pos_f1(gold, gold) in (0.0, 1.0)  # 0: nothing but X and _, see above
    assert 0.0 <= token_accuracy(pred, gold) <= 1.0
    assert 0.0 <= xtreme_pos_f1(pred, gold) <= 1.0
