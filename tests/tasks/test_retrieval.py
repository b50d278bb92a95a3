from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

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
