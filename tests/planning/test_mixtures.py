from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from raystilts.planning.stages import plan
from raystilts.study.intermediate import ALL, MIXTURES, Intermediate, all_tasks_of, named_mixture
from raystilts.study.schema import Study
from raystilts.tasks.registry import RESERVED, get_task

from .examples import study


def test_shipped_mixtures_are_of_registered_tasks_that_train() -> None:
    assert MIXTURES["anli_plus"] == ("anli", "mnli", "snli")
    assert all(get_task(name).requires_training for tasks in MIXTURES.values() for name in tasks)
    assert named_mixture("mnli") is None


def test_anli_plus_is_one_word_in_a_study_file() -> None:
    arm = Intermediate.model_validate("anli_plus")
    assert (arm.label, arm.tasks) == ("anli_plus", ("anli", "mnli", "snli"))
    beside = Intermediate.model_validate({"task": "anli_plus", "masked_lm": {"languages": ["sw"]}})
    assert (beside.label, beside.tasks) == ("anli_plus+mlm", arm.tasks)
    named = Intermediate.model_validate({"tasks": "anli_plus", "sampling": "uniform", "name": "even"})
    assert (named.label, named.sampling, named.tasks) == ("even", "uniform", arm.tasks)


def test_all_is_every_task_of_the_other_arms_once() -> None:
    assert all_tasks_of([(), ("mnli",), ("anli", "mnli", "snli"), ("squad@de",), ("squad",), ("all",)]) == (
        "mnli", "anli", "snli", "squad",
    )  # fmt: skip
    assert all_tasks_of([("squad@de",), ("mnli@sw",)]) == ("squad@de", "mnli@sw")


@pytest.mark.parametrize("arms", [["none", "cldr_names", "all"], ["all"]])
def test_all_needs_two_tasks(arms: list[str]) -> None:
    with pytest.raises(ValidationError, match="name two or more"):
        study(intermediates=arms)


def test_all_in_a_study() -> None:
    one = study(intermediates=["none", "cldr_names", "cldr_units", "cldr_dates", "all"])
    assert one.intermediates[-1].label == "all"
    assert one.intermediates[-1].tasks == ("cldr_names", "cldr_units", "cldr_dates")
    assert Study.model_validate(one.model_dump(mode="json")) == one
    spelt = {"name": "all", "tasks": ["cldr_names", "cldr_units", "cldr_dates"]}
    other = study(intermediates=["none", "cldr_names", "cldr_units", "cldr_dates", spelt])
    assert list(plan(one).stages) == list(plan(other).stages)


def masked(**changes: Any) -> dict[str, Any]:
    return {"task": "cldr_names", "masked_lm": {"languages": ["de", "sw"], **changes}}


def keys(arm: dict[str, Any], folder: str) -> list[str]:
    return [stage.train_key for stage in plan(study(intermediates=[arm], data_dir=folder)).of_kind("intermediate")]


def test_smoothing_is_in_the_key_unless_it_is_what_it_always_was(tmp_path: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for language in ("de", "sw"):
        path = tmp_path / "mono" / language / "train.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"text": [f"{language} {i}" for i in range(20)]}), path)
    plain = keys(masked(), str(tmp_path))
    assert keys(masked(smoothing=1), str(tmp_path)) == plain
    assert keys(masked(smoothing=0.3), str(tmp_path)) != plain
    assert "smoothing" not in Intermediate.model_validate(masked()).model_dump_json()
    with pytest.raises(ValidationError, match="smoothing"):
        Intermediate.model_validate(masked(smoothing=1.5))


def test_names_of_mixtures_cannot_be_taken_by_tasks() -> None:
    assert set(RESERVED) == {"none", ALL, *MIXTURES}
