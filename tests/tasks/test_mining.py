from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.converters import bucc_sides
from raystilts.tasks.registry import get_task
from raystilts.tasks.types.mining import Mining

from .true_rows import TRUE_ROWS

ROWS = bucc_sides(TRUE_ROWS["bucc2018"]["dev"], "de")
GOLD = [["de-000000001", "en-000000001"], ["de-000000002", "en-000000002"], ["de-000000003", "en-000000004"]]


def circle(*degrees: float) -> Any:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_sources_come_first(tiny_tokenizer: Any) -> None:
    features = Mining().encode(ROWS, tiny_tokenizer, max_length=32, training=False)
    assert (features.num_queries, features.num_examples, len(features.input_ids)) == (3, 7, 7)
    with pytest.raises(UserError, match="3 source and 0 target sentences"):
        Mining().encode(ROWS.slice(0, 3), tiny_tokenizer, max_length=32, training=False)


def test_pairs_are_mined_and_named_by_their_ids(tiny_tokenizer: Any) -> None:
    task = Mining(k=1)
    features = task.encode(ROWS, tiny_tokenizer, max_length=32, training=False)
    # Sources at 0, 50, 100 degrees; targets beside them at 2, 52, 160, 98.
    found = task.predict(circle(0, 50, 100, 2, 52, 160, 98), features, ROWS)
    assert sorted(pair[:2] for pair in found) == GOLD
    assert all(isinstance(margin, float) for _, _, margin in found)
    assert task.score(found, ROWS, "de") == {"f1": 1.0, "precision": 1.0, "recall": 1.0}


def test_the_threshold_is_chosen_on_dev_and_used_on_test() -> None:
    right, wrong = [*GOLD[0], 1.4], [GOLD[1][0], "en-000000003", 1.2]
    also_right = [*GOLD[2], 1.1]
    # On dev the best is to keep the first alone: F1 2/4 against 2/5 with two and 4/6 with all three.
    dev = Mining().calibrated([right, wrong], ROWS)
    assert dev.threshold == pytest.approx(1.3)
    assert Mining().calibrated([right, wrong, also_right], ROWS).threshold == pytest.approx(1.1)
    test = [[*GOLD[0], 1.35], [*GOLD[1], 1.25]]
    assert dev.score(test, ROWS, "de") == {"f1": 0.5, "precision": 1.0, "recall": pytest.approx(1 / 3)}
    assert Mining().score(test, ROWS, "de")["f1"] == pytest.approx(4 / 5)  # its own threshold: optimistic


def test_repeated_sentences_are_left_out_and_count_as_missed(tiny_tokenizer: Any) -> None:
    changed = [{**row, "sentence": "Es regnet."} if row["id"] == "de-000000001" else row for row in ROWS.to_pylist()]
    again = pa.Table.from_pylist(changed, schema=ROWS.schema)
    features = Mining(k=1).encode(again, tiny_tokenizer, max_length=32, training=False)
    found = Mining(k=1).predict(circle(50, 50, 100, 2, 52, 160, 98), features, again)
    assert [pair[:2] for pair in found] == [GOLD[2]]
    assert Mining().score(found, again, "de")["recall"] == pytest.approx(1 / 3)


def test_a_sample_keeps_pairs_whole() -> None:
    some = Mining().sample(ROWS, 2)
    assert Mining().item_count(some) == 2
    assert Mining().check(some, "de") == []
    assert Mining().sample(ROWS, 2).equals(some)
    assert Mining().sample(ROWS, None).equals(ROWS)
    assert Mining().sample(ROWS, 3).equals(ROWS)
    # One sentence is in no pair; two thirds of one are one.
    assert some.num_rows == 2 * 3 + 1


def test_check() -> None:
    rows = ROWS.to_pylist()
    bad = [{**rows[0], "sentence": " "}, rows[1], rows[1], rows[-1]]
    assert list(map(str, Mining().check(pa.Table.from_pylist(bad, schema=ROWS.schema), "de"))) == [
        "empty 'sentence' in 1 row (0)",
        "id stands twice in 1 row (2): 'de-000000002'; allowed: an id of its own for every sentence",
        "pair of a sentence that is not there in 1 row (3): 'de-000000003' and 'en-000000004'; "
        "allowed: the ids of a source and a target sentence",
    ]
    [none] = Mining().check(ROWS.slice(0, 7), "de")
    assert str(none) == "no pairs; allowed: at least one, or nothing can be scored"


def test_the_two_halves_of_the_sample_share_nothing(data_dir: Path) -> None:
    task = get_task("bucc2018_sample")
    halves = [task.load_split(split, "zh", data_dir) for split in ("dev", "test")]
    whole = get_task("bucc2018").load_dev("zh", data_dir)
    ids = [{row["id"] or row["source_id"] + row["target_id"] for row in half.to_pylist()} for half in halves]
    assert not ids[0] & ids[1]
    assert sum(half.num_rows for half in halves) == whole.num_rows == 8624 + 13589 + 257
    for half in halves:
        assert task.type.check(half, "zh") == []
        assert 0.4 < task.type.item_count(half) / 257 < 0.6
