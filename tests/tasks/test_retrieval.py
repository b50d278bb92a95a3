from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

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
