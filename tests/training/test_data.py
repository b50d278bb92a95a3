from __future__ import annotations

import numpy as np

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.registry import get_task
from raystilts.training.cache import cache_folder
from raystilts.training.data import DataReader, cached_features, used_tokens
from raystilts.training.encoder import Pretrained


def test_a_limit_takes_a_fixed_sample(tiny: Pretrained) -> None:
    reader, task = DataReader(tiny, None), get_task("cldr_names")
    some = reader.training(task, Hyperparameters(max_train_samples=20))
    again = DataReader(tiny, None).training(task, Hyperparameters(max_train_samples=20))
    assert some.num_examples == 20
    assert np.array_equal(some.input_ids.values, again.input_ids.values)


def test_sequences_fit_the_encoder(tiny: Pretrained) -> None:
    found = DataReader(tiny, None).training(
        get_task("cldr_span"), Hyperparameters(max_train_samples=20, max_length=512)
    )
    assert int(found.input_ids.lengths.max()) <= 128


def test_rows_and_features_of_an_evaluation_belong_together(tiny: Pretrained) -> None:
    one = DataReader(tiny, None).evaluation(get_task("cldr_names"), "dev", "de", 9, Hyperparameters())
    assert (one.split, one.language, one.rows.num_rows, one.features.num_examples) == ("dev", "de", 9, 9)


def test_used_tokens() -> None:
    one = Features(input_ids=Ragged.from_rows([[5, 2], [9]], np.int32), example=np.arange(2), num_examples=2)
    assert used_tokens([one], (1, 5)).tolist() == [1, 2, 5, 9]


def test_the_cache_gives_back_what_was_made() -> None:
    made: list[int] = []

    def make() -> Features:
        made.append(1)
        ids = Ragged.from_rows([[5, 2], [], [9]], np.int32)
        empty = Ragged(np.zeros(0, dtype=np.int64), np.zeros(4, dtype=np.int64))
        return Features(
            input_ids=ids, example=np.arange(3), num_examples=3, labels=np.array([1, 0, 1]), token_labels=empty
        )

    first, second = cached_features(["cache", 1], make), cached_features(["cache", 1], make)
    assert made == [1]
    for one in (first, second):
        assert [row.tolist() for row in one.input_ids] == [[5, 2], [], [9]]
        assert one.labels is not None
        assert one.labels.tolist() == [1, 0, 1]
        assert one.token_type_ids is None
    cached_features(["cache", 2], make)
    assert made == [1, 1]


def test_a_broken_cache_is_made_again() -> None:
    def make() -> Features:
        return Features(input_ids=Ragged.from_rows([[5, 2]], np.int32), example=np.arange(1), num_examples=1)

    before = set((cache_folder() / "features").iterdir())
    cached_features(["broken"], make)
    [folder] = set((cache_folder() / "features").iterdir()) - before
    path = folder / "input_ids.values.npy"
    path.write_bytes(path.read_bytes()[:40])
    assert cached_features(["broken"], make).input_ids.values.tolist() == [5, 2]
