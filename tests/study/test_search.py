"""Ranges of a hyperparameter search: what can be written, and what is refused before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.planning.resolve import resolve
from raystilts.study.schema import Study
from raystilts.study.search import Range, Search

STUDY: dict[str, Any] = {
    "name": "tune",
    "intermediates": ["none", "cldr_units"],
    "targets": ["cldr_dates"],
    "seeds": [0],
}


def study(search: dict[str, Any], **more: Any) -> Study:
    return Study.model_validate(STUDY | more | {"search": search})


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"learning_rate": {"loguniform": [1e-4, 1e-6]}}, "upside down"),
        ({"learning_rate": {"loguniform": [1e-4, 1e-4]}}, "is empty"),
        ({"learning_rate": {"loguniform": [0, 1e-4]}}, "holds 0 or less"),
        ({"weight_decay": {"loguniform": [-1, 1]}}, "holds 0 or less"),
        ({"learning_rate": {"loguniform": [1e-6]}}, "give two numbers"),
        ({"learning_rate": {"loguniforn": [1e-6, 1e-4]}}, "did you mean 'loguniform'"),
        ({"learning_rate": [1e-6, 1e-4]}, "is not a range"),
        ({"num_train_epochs": {"int": [1.5, 3]}}, "whole numbers"),
        ({"per_device_train_batch_size": {"choice": []}}, "no values"),
        ({"per_device_train_batch_size": {"choice": [16, 16]}}, "stands twice"),
        ({"per_device_train_batch_size": {"choice": [0, 16]}}, "greater than or equal to 1"),
        ({"adam_beta1": {"uniform": [0.5, 1.5]}}, "less than 1"),
        ({"lr_scheduler_type": {"choice": ["linear", "cosinus"]}}, "cosine"),
        ({"learning_rat": {"uniform": [0, 1]}}, "did you mean 'learning_rate'"),
        ({"lr": {"loguniform": [1e-6, 1e-4]}}, "use learning_rate"),
        ({}, "at least 1"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        study({"space": space})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"tasks": {"cldr_date": {}}}, "did you mean 'cldr_dates'"),
        ({"sampler": "grid"}, "needs choice or int"),
        ({"schedule": "race"}, "takes full or asha"),
        ({"tasks": {"cldr_dates": {"space": {"learning_rate": None}}}}, "nothing is left"),
        ({"num_samples": 0}, "greater than or equal to 1"),
        ({"metric": "exact_match"}, "reports no 'exact_match'"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(search: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationError, UserError)) as error:
        resolve(study({"space": {"learning_rate": {"loguniform": [1e-5, 1e-3]}}, **search}))
    assert message in str(error.value)


def test_a_task_changes_drops_and_adds_ranges() -> None:
    search = Search.model_validate(
        {
            "space": {"learning_rate": {"loguniform": [1e-5, 1e-3]}, "weight_decay": {"uniform": [0, 0.1]}},
            "tasks": {
                "a": {
                    "space": {
                        "learning_rate": {"choice": [1e-4, 2e-4]},
                        "weight_decay": None,
                        "num_train_epochs": {"int": [1, 3]},
                    },
                    "num_samples": 50,
                }
            },
        }
    )
    assert list(search.space_of("b")) == ["learning_rate", "weight_decay"]
    own = search.space_of("a")
    assert own["learning_rate"].values == (1e-4, 2e-4)
    assert list(own["num_train_epochs"].grid or ()) == [1, 2, 3]
    assert "weight_decay" not in own
    assert search.samples_of("a") == 6  # all there are
    assert search.samples_of("b") == 20


@given(st.floats(1e-9, 1e3), st.floats(1.0001, 1e3))
def test_ranges_survive_json(low: float, factor: float) -> None:
    one = Range.model_validate({"loguniform": [low, low * factor]})
    assert Range.model_validate_json(one.model_dump_json()) == one
    assert one.holds(low)
    assert not one.holds(low * factor * 1.01)


def test_a_study_with_a_search_survives_json() -> None:
    one = study({"space": {"learning_rate": {"loguniform": [1e-5, 1e-3]}}, "schedule": "asha"})
    assert Study.model_validate_json(one.model_dump_json()) == one


TUNED = """
encoder: raystilts-mini
study: tune
tasks:
  cldr_dates:
    values: {learning_rate: 3e-4, num_train_epochs: 2}
    evidence: {metric: f1, score: 0.5, trials: 20}
"""


def test_a_grid_takes_values_from_a_file_and_its_own_win(tmp_path: Path) -> None:
    (tmp_path / "chosen.yaml").write_text(TUNED)
    given = {
        "from": str(tmp_path / "chosen.yaml"),
        "weight_decay": 0.1,
        "tasks": {"cldr_dates": {"num_train_epochs": 5, "learning_rate": None}},
    }
    hyperparameters = Study.model_validate(STUDY | {"hyperparameters": given}).hyperparameters
    assert hyperparameters.resolve("cldr_dates").learning_rate == 3e-4, "null sets nothing"
    assert hyperparameters.resolve("cldr_dates").num_train_epochs == 5
    assert hyperparameters.resolve("cldr_dates").weight_decay == 0.1
    assert hyperparameters.resolve("cldr_units").learning_rate == 2e-5


def test_values_of_another_encoder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "chosen.yaml").write_text(TUNED.replace("raystilts-mini", "xlm-roberta-large"))
    tuned = Study.model_validate(STUDY | {"hyperparameters": {"from": str(tmp_path / "chosen.yaml")}})
    with pytest.raises(UserError, match="found for 'xlm-roberta-large'"):
        resolve(tuned)


@pytest.mark.parametrize("text", [None, "tasks: 3", TUNED.replace("3e-4", "-3")])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "chosen.yaml").write_text(text)
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: x\nintermediates: [none]\ntargets: [cldr_dates]\nseeds: [0]\nhyperparameters: {from: chosen.yaml}\n"
    )
    with pytest.raises(UserError, match=r"chosen.yaml"):
        Study.from_file(file)
