from __future__ import annotations

from typing import Any

import pytest

from raystilts.planning.stages import counted_rows, fraction_rows, steps_of, task_weights
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.intermediate import Intermediate

ONE_EPOCH = Hyperparameters(num_train_epochs=1, per_device_train_batch_size=10)


def arm(**fields: Any) -> Intermediate:
    return Intermediate.model_validate({"tasks": ["mnli", "squad"]} | fields)


@pytest.mark.parametrize(("rows", "fraction", "count"), [(100, 0.25, 25), (100, 0.001, 1), (7, 0.5, 4), (3, 1.0, 3)])
def test_fraction_rows(rows: int, fraction: float, count: int) -> None:
    assert fraction_rows(rows, fraction) == count


def test_a_mixture_counts_each_part_up_to_its_cap() -> None:
    assert counted_rows(arm(cap=300), [1000, 400], 0.5, "epochs") == [300, 200]
    assert counted_rows(arm(cap=300), [1000, 400], 0.5, "updates") == [300, 300]
    assert counted_rows(arm(cap=300, sampling="uniform"), [1000, 400], 1.0, "epochs") == [1000, 400]
    assert counted_rows(arm(cap=300, tasks=["mnli"]), [1000], 1.0, "epochs") == [1000]
    assert counted_rows(None, [1000], 0.1, "epochs") == [100]


def test_weights() -> None:
    assert task_weights(arm(), [900, 100]) == [900.0, 100.0]
    assert task_weights(arm(sampling="uniform"), [900, 100]) == [1.0, 1.0]
    assert task_weights(arm(sampling="temperature"), [900, 100]) == pytest.approx([30.0, 10.0])
    assert task_weights(arm(sampling="temperature", temperature=1), [900, 100]) == [900.0, 100.0]


def test_steps_hold_epochs_or_updates() -> None:
    assert steps_of(None, [1000], 0.25, "epochs", ONE_EPOCH) == 25
    assert steps_of(None, [1000], 0.25, "updates", ONE_EPOCH) == 100
    assert steps_of(arm(cap=300), [1000, 400], 1.0, "epochs", ONE_EPOCH) == 60


def test_masked_lm_updates_come_on_top() -> None:
    text = {"languages": ["de"]}
    assert steps_of(arm(masked_lm=text), [100, 100], 1.0, "epochs", ONE_EPOCH) == 40
    assert steps_of(arm(masked_lm=text | {"probability": 0.2}), [100, 100], 1.0, "epochs", ONE_EPOCH) == 25
    alone = arm(tasks=[], masked_lm=text | {"max_steps": 7})
    assert steps_of(alone, [], 0.25, "epochs", ONE_EPOCH) == 7
