from __future__ import annotations

import dataclasses

import pytest
from pydantic import ValidationError

from raystilts.study.hyperparameters import REFUSED, RETIRED, Hyperparameters, Overrides, StudyHyperparameters


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


def test_every_other_name_of_training_arguments_is_refused_with_a_reason() -> None:
    from transformers import TrainingArguments

    names = {one.name for one in dataclasses.fields(TrainingArguments)}
    for name in sorted(names - Hyperparameters.model_fields.keys()):
        with pytest.raises(ValidationError, match=f"'{name}' is not a name here: "):
            Hyperparameters.model_validate({name: 1})
    for name in Hyperparameters.model_fields:
        assert not any(name.startswith(starts) for starts in REFUSED), name


def test_what_is_not_used_is_not_in_keys() -> None:
    later = {"num_train_examples", "label_smoothing_factor", "class_weight", "early_stopping_patience",
             "early_stopping_threshold", "padding_free"}  # fmt: skip
    assert not later & Hyperparameters().model_dump().keys()
    used = Hyperparameters(num_train_examples=8, label_smoothing_factor=0.1, class_weight="balanced",
                           early_stopping_patience=2, early_stopping_threshold=0.01,
                           padding_free=True)  # fmt: skip
    assert later <= used.model_dump().keys()


def test_every_hyperparameter_can_be_overridden() -> None:
    assert Overrides.model_fields.keys() == Hyperparameters.model_fields.keys()
