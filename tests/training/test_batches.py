from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Ragged
from raystilts.training.batches import (
    epoch_batches,
    example_lengths,
    mix,
    mixture_order,
    smoothed_batches,
    subset,
    training_batches,
)

HP = Hyperparameters(per_device_train_batch_size=4)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 300), st.floats(0.001, 1), st.floats(0.001, 1), st.integers(0, 5))
def test_smaller_shares_lie_in_larger_ones(examples: int, one: float, other: float, seed: int) -> None:
    small, large = (subset(examples, share, seed) for share in sorted((one, other)))
    assert set(small.tolist()) <= set(large.tolist())
    assert len(large) == max(1, round(max(one, other) * examples))
    assert np.all(np.diff(large) > 0)


def test_a_seed_draws_its_own_subset() -> None:
    assert subset(1000, 0.1, 0).tolist() == subset(1000, 0.1, 0).tolist()
    assert subset(1000, 0.1, 0).tolist() != subset(1000, 0.1, 1).tolist()
    assert subset(50, 1.0, 3).tolist() == list(range(50))


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
def test_an_epoch_visits_every_example_once(strategy: str) -> None:
    hp = Hyperparameters.model_validate({"per_device_train_batch_size": 4, "train_sampling_strategy": strategy})
    chosen = np.arange(3, 490, dtype=np.int64)
    lengths = np.random.default_rng(0).integers(5, 100, 500)
    batches = epoch_batches(chosen, lengths, hp, 0, 0)
    assert sorted(np.concatenate(batches).tolist()) == chosen.tolist()
    assert sorted(map(len, batches))[1:] == [4] * 121
    again = epoch_batches(chosen, lengths, hp, 0, 0)
    assert [b.tolist() for b in batches] == [b.tolist() for b in again]
    for seed, epoch in ((1, 0), (0, 1)):
        assert [b.tolist() for b in epoch_batches(chosen, lengths, hp, seed, epoch)] != [b.tolist() for b in batches]


def test_grouping_saves_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 100, 400)
    chosen = np.arange(400, dtype=np.int64)

    def padding(strategy: str) -> int:
        hp = Hyperparameters.model_validate({"per_device_train_batch_size": 4, "train_sampling_strategy": strategy})
        return sum(int((lengths[b].max() - lengths[b]).sum()) for b in epoch_batches(chosen, lengths, hp, 0, 0))

    assert padding("group_by_length") < padding("random") / 5


def test_more_steps_go_on_where_fewer_end() -> None:
    chosen, lengths = np.arange(10, dtype=np.int64), np.full(10, 7)
    long = training_batches(chosen, lengths, HP, 0, 8)
    assert [b.tolist() for b in training_batches(chosen, lengths, HP, 0, 5)] == [b.tolist() for b in long[:5]]
    assert len(long) == 8
    assert training_batches(chosen, lengths, HP, 0, 0) == []


def test_mixture_order_follows_the_weights() -> None:
    order = mixture_order([3.0, 1.0], 4000, 0)
    assert abs((order == 0).mean() - 0.75) < 0.03
    assert order.tolist() == mixture_order([0.75, 0.25], 4000, 0).tolist()
    assert mixture_order([3.0, 1.0], 10, 0).tolist() == order[:10].tolist()


def test_mix_takes_each_parts_batches_in_turn() -> None:
    streams = [[np.array([1]), np.array([2])], [np.array([3])]]
    updates = mix(np.array([0, 1, 0]), streams)
    assert [(u.task_index, u.examples.tolist()) for u in updates] == [(0, [1]), (1, [3]), (0, [2])]


def test_lengths_of_examples_sum_their_features() -> None:
    ids = Ragged.from_rows([[1] * 3, [1] * 2, [1] * 5], np.int32)
    found = Features(input_ids=ids, example=np.array([0, 0, 1]), num_examples=2)
    assert example_lengths(found).tolist() == [5, 5]


@pytest.mark.parametrize(("exponent", "shares"), [(1.0, (0.9, 0.1)), (0.5, (0.75, 0.25)), (0.0, (0.5, 0.5))])
def test_languages_are_drawn_by_their_smoothed_sizes(exponent: float, shares: tuple[float, float]) -> None:
    hp = Hyperparameters(per_device_train_batch_size=8)
    batches = smoothed_batches((900, 100), exponent, hp, seed=3, steps=500)
    drawn = np.concatenate(batches)
    assert {len(batch) for batch in batches} == {8}
    assert np.mean(drawn < 900) == pytest.approx(shares[0], abs=0.02)
    small = drawn[drawn >= 900]
    assert set(small.tolist()) <= set(range(900, 1000))
    for start in range(0, len(small) - 99, 100):  # each pass over a language holds each of its examples once
        assert len(set(small[start : start + 100].tolist())) == 100
    again = smoothed_batches((900, 100), exponent, hp, seed=3, steps=500)
    assert np.array_equal(np.concatenate(again), drawn)


def test_a_language_may_be_drawn_not_at_all() -> None:
    hp = Hyperparameters(per_device_train_batch_size=1)
    [only] = smoothed_batches((10**5, 1), 1.0, hp, seed=0, steps=1)
    assert 0 <= only[0] < 10**5
