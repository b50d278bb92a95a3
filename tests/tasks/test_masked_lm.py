from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.encoding import Ragged
from raystilts.tasks.types.masked_lm import MaskedLM

ROWS = pa.table({"text": ["中国人", "我在", "他们"] * 10})


def test_rows_are_packed_into_full_sequences(tiny_tokenizer: Any) -> None:
    features = MaskedLM().encode(ROWS, tiny_tokenizer, max_length=20, training=True)
    lengths = features.input_ids.lengths
    assert (lengths[:-1] == 20).all()
    assert features.token_labels is None
    assert features.num_examples == len(features.input_ids)
    stream = [t for row in features.input_ids for t in row[1:-1].tolist()]
    words = "".join(tiny_tokenizer.convert_ids_to_tokens(stream)).replace("▁", "").split("</s>")
    assert words == ROWS["text"].to_pylist()


def test_evaluation_masks_the_same_tokens_each_time(tiny_tokenizer: Any) -> None:
    task = MaskedLM(probability=0.3)
    once = task.encode(ROWS, tiny_tokenizer, max_length=20, training=False)
    again = task.encode(ROWS, tiny_tokenizer, max_length=20, training=False)
    assert once.token_labels is not None
    assert again.token_labels is not None
    assert once.input_ids.values.tolist() == again.input_ids.values.tolist()
    masked = once.token_labels.values != -100
    assert (once.input_ids.values[masked] == tiny_tokenizer.mask_token_id).all()
    assert not np.isin(once.token_labels.values, [0, 2]).any()
    assert 0.1 < masked.mean() < 0.4


def test_score_is_the_share_guessed(tiny_tokenizer: Any) -> None:
    task = MaskedLM(probability=0.3)
    features = task.encode(ROWS, tiny_tokenizer, max_length=20, training=False)
    assert features.token_labels is not None
    right = task.predict(features.token_labels, features, ROWS)
    assert task.score(right, ROWS, "zh") == {"accuracy": 1.0}
    zeros = Ragged(np.zeros_like(features.token_labels.values), features.token_labels.offsets)
    assert task.score(task.predict(zeros, features, ROWS), ROWS, "zh") == {"accuracy": 0.0}
    assert task.score([], ROWS, "zh") == {"accuracy": 0.0}


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    from tokenizers import Tokenizer, models

    bare = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(UserError, match="no mask token"):
        MaskedLM().encode(ROWS, bare, max_length=20, training=False)


def test_check_finds_empty_lines() -> None:
    assert list(map(str, MaskedLM().check(pa.table({"text": ["a", " "]}), "en"))) == ["empty 'text' in 1 row (1)"]
