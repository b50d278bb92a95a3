from __future__ import annotations

import pytest
from pydantic import ValidationError

from raystilts.study.hyperparameters import RETIRED, Hyperparameters, Overrides, StudyHyperparameters


@pytest.mark.parametrize(
    ("values", "examples", "steps"),
    [
        ({}, 3200, 300),
        ({}, 1, 3),
        ({"num_train_epochs": 1}, 33, 2),
        ({"num_train_epochs": 0.5}, 96, 2),
        ({"num_train_epochs": 0.01}, 32, 1),
        ({"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}, 64, 6),
        ({"max_steps": 7}, 10**6, 7),
        ({"max_steps": 0}, 32, 3),
    ],
)
def test_steps(values: dict[str, float], examples: int, steps: int) -> None:
    assert Hyperparameters.model_validate(values).steps(examples) == steps


@pytest.mark.parametrize(
    ("given", "steps", "warmup"), [(0.1, 100, 10), (0.1, 4, 0), (0.06, 50, 3), (0, 50, 0), (1, 50, 1), (20, 50, 20)]
)
def test_warmup(given: float, steps: int, warmup: int) -> None:
    assert Hyperparameters(warmup_steps=given).warmup(steps) == warmup


def test_a_task_overrides_only_what_it_names() -> None:
    study = StudyHyperparameters(
        learning_rate=1e-4, max_length=64, tasks={"mnli": Overrides(learning_rate=1e-5, max_train_samples=10)}
    )
    assert study.resolve("squad") == Hyperparameters(learning_rate=1e-4, max_length=64)
    assert study.resolve("mnli") == Hyperparameters(learning_rate=1e-5, max_length=64, max_train_samples=10)


@pytest.mark.parametrize("name", sorted(RETIRED))
def test_retired_names_are_refused_with_what_stands_for_them(name: str) -> None:
    for model in (Hyperparameters, StudyHyperparameters, Overrides):
        with pytest.raises(ValidationError) as error:
            model.model_validate({name: 1})
        assert RETIRED[name] in str(error.value)


def test_every_hyperparameter_can_be_overridden() -> None:
    assert Overrides.model_fields.keys() == Hyperparameters.model_fields.keys()
