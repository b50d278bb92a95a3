from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raystilts.errors import UserError
from raystilts.filesystem import open_folder
from raystilts.planning.stages import plan
from raystilts.results.study_file import read_study
from raystilts.study.schema import Study
from raystilts.tracking import check


def study(**changes: Any) -> Study:
    fields: dict[str, Any] = {"name": "s", "intermediates": ["none"], "targets": ["cldr_units"], "seeds": [0]}
    return Study.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("tensorboard", ("tensorboard",)), ("none", ()), ([], ()), (["wandb", "mlflow"], ("wandb", "mlflow")),
        (["wandb", "wandb"], ("wandb",)), ("trackio", ("trackio",)),
    ],
)  # fmt: skip
def test_one_name_or_several(given: object, found: tuple[str, ...]) -> None:
    assert study(report_to=given).report_to == found


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    old = study().model_dump(mode="json")
    del old["report_to"]
    for flag, found in ((True, ("tensorboard",)), (False, ())):
        (tmp_path / "study.json").write_text(json.dumps(old | {"tensorboard": flag}))
        read = read_study(open_folder(tmp_path))
        assert read is not None
        assert read.report_to == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("report_to: clearml", "report_to.0: Input should be 'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ("report_to: all", "report_to.0: Input should be 'tensorboard', 'wandb', 'mlflow' or 'trackio'"),
        ("hyperparameters: {report_to: wandb}", "it stands beside hyperparameters, not among them"),
        ("hyperparameters: {logging_steps: 5}", "report_to names experiment trackers"),
    ],
)
def test_other_names(given: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"name: s\nintermediates: [none]\ntargets: [cldr_units]\nseeds: [0]\n{given}\n")
    with pytest.raises(UserError) as error:
        Study.from_file(file)
    assert said in str(error.value)


def test_trackers_and_prices_are_in_no_key() -> None:
    plain = plan(study())
    other = plan(study(report_to=["wandb", "mlflow"], resources={"cpus": 1, "price_per_cpu_hour": 1.0}))
    assert plain.stages.keys() == other.stages.keys()


def test_a_missing_package_is_said_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"tensorboard": object()}
    monkeypatch.setattr("importlib.util.find_spec", there.get)
    with pytest.raises(UserError) as error:
        check.check_installed(study(report_to=["wandb", "tensorboard", "mlflow"]))
    assert str(error.value) == (
        "report_to: wandb, mlflow: not installed here; run: pip install 'raystilts[wandb,mlflow]', or leave it out"
    )
    check.check_installed(study(report_to="tensorboard"))
