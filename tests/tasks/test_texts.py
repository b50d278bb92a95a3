from __future__ import annotations

import pyarrow as pa

from raystilts.tasks.registry import get_task
from raystilts.tasks.texts import item_texts, plain_text, spread_sample


def test_texts_of_each_type_are_without_labels_and_separators() -> None:
    squad = pa.table({"question": ["Who?", "When?"], "context": ["Long ago.", "Long ago."], "answers": [{}, {}]})
    assert item_texts(get_task("squad"), squad) == ["Who? Long ago."]  # one paragraph counts once
    choice = pa.table(
        {"question": ["Q"], "choices": [{"label": ["A", "B"], "text": ["yes", "no"]}], "answerKey": ["A"]}
    )
    assert item_texts(get_task("commonsense_qa"), choice) == ["Q yes no"]
    tags = pa.table({"tokens": [["a", "b"]], "pos_tags": [["X", "Y"]]})
    assert item_texts(get_task("udpos"), tags) == ["a b"]
    pairs = pa.table({"target_sentence": ["Hello"], "source_sentence": ["Hallo"]})
    assert item_texts(get_task("tatoeba"), pairs) == ["Hallo"]
    assert plain_text(get_task("tatoeba"), pairs).to_pydict() == {"text": ["Hallo"]}


def test_empty_items_have_no_text() -> None:
    rows = pa.table({"premise": ["", "a"], "hypothesis": [" ", "b"], "label": [0, 1]})
    assert item_texts(get_task("mnli"), rows) == ["a b"]


def test_parts_take_no_item_twice() -> None:
    texts = [str(i) for i in range(30)]
    parts = [spread_sample(texts, 8, part, 3) for part in range(3)]
    assert [len(part) for part in parts] == [8, 8, 8]
    assert len({text for part in parts for text in part}) == 24
    assert spread_sample(texts, 50, 0, 1) != texts
    assert sorted(spread_sample(texts, 50, 0, 1), key=int) == texts
