from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from raystilts.metrics.retrieval import nearest_csls
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.retrieval import Retrieval

TASK = Retrieval(query="english", candidate="foreign")
ROWS = pa.table({"english": ["the", "a", "is"], "foreign": ["der", "ein", "ist"]})


def test_queries_come_first(tiny_tokenizer: Any) -> None:
    features = TASK.encode(ROWS, tiny_tokenizer, max_length=16, training=False)
    assert features.num_queries == 3
    assert features.num_examples == len(features.input_ids) == 6
    assert features.example.tolist() == list(range(6))
    assert tiny_tokenizer.decode(features.input_ids[0], skip_special_tokens=True).strip("▁ ") == "the"
    assert TASK.item_columns() == ("english", "foreign")


def test_nearest_by_angle(tiny_tokenizer: Any) -> None:
    features = TASK.encode(ROWS, tiny_tokenizer, max_length=16, training=False)
    vectors = np.array([[1, 0], [0, 1], [1, 1], [9, 1], [1, 8], [0, 5]], dtype=np.float32)
    predictions = TASK.predict(vectors, features, ROWS)
    assert predictions[:2] == [0, 2]
    assert TASK.score([0, 2, 2], ROWS, "de") == {"accuracy": np.float64(2 / 3)}
    assert TASK.check(ROWS, "de") == []


def test_tatoeba_asks_in_english_and_searches_the_foreign_sentences(tiny_tokenizer: Any) -> None:
    task = get_task("tatoeba")
    rows = pa.table({"target_sentence": ["the", "a"], "source_sentence": ["der", "ein"]})
    features = task.type.encode(rows, tiny_tokenizer, max_length=16, training=False)
    assert tiny_tokenizer.decode(features.input_ids[0], skip_special_tokens=True).strip("▁ ") == "the"
    # Both English vectors are nearest to "der"; asked the other way round, each would find its own.
    vectors = np.array([[1, 0], [0.9, 0.1], [1, 0], [0, 1]], dtype=np.float32)
    assert task.type.score(task.type.predict(vectors, features, rows), rows, "de") == {"accuracy": 0.5}
    turned = task.type.predict(vectors[[2, 3, 0, 1]], features, rows)
    assert task.type.score(turned, rows, "de") == {"accuracy": 1.0}


def test_centring_and_local_scaling_stand_beside_the_exact_cosine() -> None:
    """By hand: a hub that is nearest to every query, and a side that lies elsewhere as a whole."""
    queries = np.array([[1.0, 0.0], [0.9, 0.3], [0.3, 0.9]], dtype=np.float32)
    index = queries + np.array([0.0, 2.0], dtype=np.float32)  # the same sentences, moved: their mean is what differs
    rows = ROWS.slice(0, 3)
    features = Features(Ragged.from_rows([[1]] * 6, np.int32), np.arange(6), 6, num_queries=3)
    outputs = np.concatenate([queries, index])
    assert TASK.score(TASK.predict(outputs, features, rows), rows, "de")["accuracy"] < 1
    beside = TASK.beside(outputs, features, rows)
    assert list(beside) == ["accuracy_centred", "accuracy_csls", "accuracy_centred_csls"]
    assert beside["accuracy_centred"] == beside["accuracy_centred_csls"] == 1.0


def test_csls_is_its_definition() -> None:
    draw = np.random.default_rng(3)
    queries, index = draw.normal(size=(40, 8)), draw.normal(size=(30, 8))
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (queries, index)]
    cosine = unit[0] @ unit[1].T
    near = [np.sort(cosine, axis=axis).take(range(-10, 0), axis=axis).mean(axis=axis) for axis in (1, 0)]
    wanted = (2 * cosine - near[0][:, None] - near[1][None, :]).argmax(axis=1)
    for block in (7, 2048):
        assert nearest_csls(queries, index, block=block).tolist() == wanted.tolist()
