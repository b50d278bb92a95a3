from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.tasks.converters import get_converter
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.retrieval import AnswerRetrieval

from .true_rows import TRUE_ROWS

SCHEMA = pa.schema([("question", pa.string()), ("key", pa.string()), ("candidate", pa.string()),
                    ("keys", pa.list_(pa.string()))])  # fmt: skip
TASK = AnswerRetrieval()


def rows(questions: list[tuple[str, str]], candidates: list[tuple[str, list[str]]]) -> pa.Table:
    listed: list[dict[str, Any]] = [{"question": q, "key": key} for q, key in questions]
    return pa.Table.from_pylist(listed + [{"candidate": c, "keys": keys} for c, keys in candidates], schema=SCHEMA)


GERMAN = rows([("wer?", "q1"), ("wo?", "q2")], [("Rollo.", ["q1"]), ("Im Norden.", ["q2"]), ("Niemand.", [])])
RUSSIAN = rows([("кто?", "q1")], [("Ролло.", ["q1"]), ("Дом.", [])])


def test_candidates_of_all_sets_are_one_pool(tiny_tokenizer: Any) -> None:
    features = [TASK.encode(table, tiny_tokenizer, max_length=16, training=False) for table in (GERMAN, RUSSIAN)]
    assert [(f.num_queries, f.num_examples) for f in features] == [(2, 5), (1, 3)]
    german = np.array([[1, 0], [0, 1], [1, 0.1], [0.2, 1], [1, 0.4]], dtype=np.float32)
    russian = np.array([[1, 0.5], [1, 0.2], [0.1, 1]], dtype=np.float32)
    found = TASK.predict_together([german, russian], features, [GERMAN, RUSSIAN])
    # q1 in German ranks Rollo., Ролло., Niemand., Im Norden., Дом.; q2 ranks Дом. before Im Norden.
    assert found == [[[1, 2], [2]], [[2, 3]]]
    assert TASK.score(found[0], GERMAN, "de") == {"map": pytest.approx((1 + 1 / 2) / 2)}
    assert TASK.score(found[1], RUSSIAN, "ru") == {"map": pytest.approx((1 / 2 + 2 / 3) / 2)}
    assert TASK.predict(german, features[0], GERMAN) == [[1], [1]]  # alone, it searches its own


def test_a_pool_of_candidates_alone_and_questions_alone(tiny_tokenizer: Any) -> None:
    task = AnswerRetrieval(k=2)
    asked = rows([("wer?", "q1"), ("was?", "nowhere")], [])
    pool = rows([], [("Rollo.", ["q1"]), ("Haus.", []), ("Baum.", [])])
    features = [task.encode(table, tiny_tokenizer, max_length=16, training=False) for table in (asked, pool)]
    vectors = [np.array([[1, 0], [0, 1]], dtype=np.float32), np.array([[1, 1], [1, 0], [0, 1]], dtype=np.float32)]
    found = task.predict_together(vectors, features, [asked, pool])
    assert found == [[[2], []], []]
    assert task.score(found[0], asked, "de") == {"map@2": 0.25}  # 1/2, and 0 for what has no right answer
    assert task.score(found[1], pool, "all") == {}
    assert task.metrics == ("map@2",)


def test_published_mentions_find_their_entities(tiny_tokenizer: Any) -> None:
    task = get_task("mewsli_x")
    mentions = get_converter("mewsli_mentions")(TRUE_ROWS["mewsli_x"]["test"], "en")
    entities = get_converter("mewsli_entities")(TRUE_ROWS["mewsli_x"]["pool"], "all")
    assert mentions["question"].to_pylist()[0] == "Helsinki: In { Helsinki } , drivers went on strike."
    features = [task.type.encode(t, tiny_tokenizer, max_length=64, training=False) for t in (mentions, entities)]
    same = np.eye(4, dtype=np.float32)
    found = task.type.predict_together([same[:3], same], features, [mentions, entities])
    assert found == [[[1], [1], [1]], []]
    assert task.type.score(found[0], mentions, "en") == {"map@20": 1.0}


def test_a_sample_keeps_the_candidates_of_its_questions() -> None:
    some = TASK.sample(GERMAN, 1)
    assert TASK.item_count(some) == 1
    [key] = [k for k in some["key"].to_pylist() if k]
    assert [key] in some["keys"].to_pylist()
    assert some.num_rows == 1 + 1 + 1  # half of the two other candidates
    assert TASK.sample(GERMAN, None).equals(TASK.sample(GERMAN, 2))
    assert TASK.sample(rows([], [("a", [])]), 1).num_rows == 1  # a pool is never cut


def test_check() -> None:
    bad = pa.Table.from_pylist([{"question": " ", "key": "a"}, {"question": "b"}, {}], schema=SCHEMA)
    assert list(map(str, TASK.check(bad, "de"))) == [
        "neither a question nor a candidate in 1 row (2): neither of them; allowed: one of the two",
        "empty text in 2 rows (0, 2)",
        "question without a key in 1 row (1): null; allowed: what names the candidates that answer it",
    ]
    assert TASK.check(GERMAN, "de") == []


def test_lareqa_has_as_many_candidates_as_published(data_dir: Path) -> None:
    task = get_task("lareqa")
    tables = [task.load_test(language, data_dir) for language in task.languages]
    candidates = sum(table.num_rows - task.type.item_count(table) for table in tables)
    assert candidates == 13_014
    assert {task.type.item_count(table) for table in tables} == {1190}
    keys = {key for key in tables[0]["key"].to_pylist() if key}
    assert all({key for own in table["keys"].to_pylist() for key in own or ()} == keys for table in tables)
