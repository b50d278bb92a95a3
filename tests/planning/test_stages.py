from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from raystilts.errors import UserError
from raystilts.planning.stages import Plan, plan
from raystilts.study.schema import Study

from .examples import studies, study

TASK_FILE = """
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

SOURCE = Source(dataset="plan_test_data", split="train")
TASK = Task(
    name="plan_test_task", type=SequenceClassification(text="text", labels=("no", "yes")),
    train=SOURCE, dev=SOURCE.other("dev"), test=SOURCE.other("test"), languages=("en", "de"), dev_languages=("en",),
    main_score="accuracy", description="d", licence="l", citation="c", url="u",
)
"""


def keys(one: Study) -> set[str]:
    return set(plan(one).stages)


def train_keys(one: Study, kind: Any) -> set[str]:
    return {stage.train_key for stage in plan(one).of_kind(kind)}


@settings(max_examples=40, deadline=None)
@given(studies())
def test_every_cell_has_its_stage_and_parents_come_first(one: Study) -> None:
    planned = plan(one)
    assert len(planned.cells) == len(planned.cell_stages) == len(set(planned.cell_stages))
    for cell, key in zip(planned.cells, planned.cell_stages, strict=True):
        stage = planned.stages[key]
        assert (stage.intermediate.label, stage.intermediate_fraction) == (
            cell.intermediate,
            cell.intermediate_fraction,
        )
        assert (stage.target, stage.target_fraction, stage.seed) == (cell.target, cell.target_fraction, cell.seed)
        assert (stage.parent is None) == (cell.intermediate == "none")
        assert stage.kind == ("retrieval" if cell.target_fraction is None else "target")
    seen: set[str] = set()
    for key, stage in planned.stages.items():
        assert key == stage.key
        assert stage.parent is None or stage.parent in seen
        if stage.parent is not None:
            parent = planned.stages[stage.parent]
            assert (parent.kind, parent.train_key, parent.seed) == ("intermediate", stage.parent_train_key, stage.seed)
            assert (parent.intermediate, parent.intermediate_fraction) == (
                stage.intermediate,
                stage.intermediate_fraction,
            )
        seen.add(key)


@settings(max_examples=40, deadline=None)
@given(studies())
def test_an_intermediate_is_trained_once_however_many_targets(one: Study) -> None:
    arms = sum(not arm.is_none for arm in one.intermediates)
    expected = arms * len(one.intermediate_fractions.values) * len(one.seeds)
    assert len(plan(one).of_kind("intermediate")) == expected


def test_a_study_is_planned_the_same_twice() -> None:
    assert list(plan(study()).stages.values()) == list(plan(study()).stages.values())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"storage_path": "/elsewhere"},
        {"resources": {"cpus": 2, "by_kind": {"target": {"gpus": 1}}}},
        {"schedule": "full"},
        {"keep": "needed"},
        {"keep_targets": "all"},
        {"time_limit_s": 10},
        {"encoder": {"has_seen": ["mnli"]}},
        {"intermediates": ["cldr_units", "none", {"task": "cldr_names"}]},
        {"intermediates": ["none", {"tasks": ["cldr_names"], "name": "n", "sampling": "uniform"}, "cldr_units"]},
        {"targets": [{"task": "cldr_match", "languages": ["de"]}, {"task": "cldr_dates", "languages": ["de", "en"]}]},
        {"seeds": [1, 0]},
        {"hyperparameters": {"tasks": {"mnli": {"learning_rate": 1.0}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_change_the_outcome_changes_no_key(change: dict[str, Any]) -> None:
    assert keys(study(**change)) == keys(study())


def test_more_of_everything_keeps_what_there_was() -> None:
    more = study(
        seeds=[0, 1, 2],
        intermediates=["cldr_span", "none", "cldr_names", "cldr_units"],
        targets=["cldr_same", *study().model_dump()["targets"]],
        intermediate_fractions=[0.25, 1.0],
        target_fractions=[0.5, 1.0],
    )
    assert keys(study()) < keys(more)


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [5, 6]},
        {"hyperparameters": {"learning_rate": 1e-4}},
        {"hyperparameters": {"head_learning_rate": 1e-3}},
        {"hyperparameters": {"max_train_samples": 100}},
        {"hyperparameters": {"max_length": 32}},
        {"hyperparameters": {"bf16": True}},
        {"hyperparameters": {"load_best_model_at_end": False}},
        {"encoder": {"pooling": "mean"}},
        {"intermediate_fractions": [0.5], "target_fractions": [0.5]},
        {"evaluation": {"eval_steps": 0.5}},
        {"evaluation": {"max_dev_samples": 10}},
    ],
    ids=str,
)
def test_what_changes_the_weights_changes_every_training_key(change: dict[str, Any]) -> None:
    changed = study(**change)
    for kind in ("intermediate", "target"):
        assert not train_keys(changed, kind) & train_keys(study(), kind)


def test_a_target_alone_changes_when_only_its_recipe_does() -> None:
    changed = study(hyperparameters={"tasks": {"cldr_dates": {"learning_rate": 1e-4}}})
    assert train_keys(changed, "intermediate") == train_keys(study(), "intermediate")
    assert not train_keys(changed, "target") & train_keys(study(), "target")


def test_the_parent_is_part_of_a_targets_name() -> None:
    changed = study(hyperparameters={"tasks": {"cldr_names": {"learning_rate": 1e-4}}})
    before, after = plan(study()), plan(changed)
    differing = {s.intermediate.label for s in after.stages.values() if s.key not in before.stages}
    assert differing == {"cldr_names"}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"evaluation": {"max_test_samples": 10}}, {"target", "retrieval"}),
        ({"encoder": {"retrieval_layer": 1}}, {"retrieval"}),
        ({"encoder": {"retrieval_pooling": "first"}}, {"retrieval"}),
        ({"targets": [{"task": "cldr_dates", "languages": ["en", "de", "fr"]},
                      {"task": "cldr_match", "languages": ["de"]}]}, {"target"}),
        ({"hyperparameters": {"tasks": {"cldr_match": {"bf16": True}}}}, {"retrieval"}),
    ],
)  # fmt: skip
def test_what_changes_only_the_scores_leaves_the_weights(change: dict[str, Any], kinds: set[str]) -> None:
    before, after = plan(study()), plan(study(**change))
    assert {s.train_key for s in after.stages.values()} == {s.train_key for s in before.stages.values()}
    assert {s.kind for s in after.stages.values() if s.key not in before.stages} == kinds


def test_selection_on_target_dev_concerns_targets_only() -> None:
    changed = study(selection="target_dev")
    assert not train_keys(changed, "target") & train_keys(study(), "target")


def mixture(**fields: Any) -> Study:
    return study(intermediates=[{"tasks": ["cldr_names", "cldr_units"]} | fields])


@pytest.mark.parametrize(
    "fields", [{"sampling": "uniform"}, {"cap": 100}, {"masked_lm": {"languages": ["de"]}}], ids=str
)
def test_how_a_mixture_is_mixed_is_in_its_key(fields: dict[str, Any]) -> None:
    assert not train_keys(mixture(**fields), "intermediate") & train_keys(mixture(), "intermediate")


def test_amounts() -> None:
    hp = {"num_train_epochs": 2, "per_device_train_batch_size": 10, "max_train_samples": 100}
    planned = plan(study(hyperparameters=hp, intermediate_fractions=[0.5], evaluation={"max_dev_samples": 7}))
    for stage in planned.stages.values():
        expected = {"intermediate": 10, "target": 20, "retrieval": 0}[stage.kind]
        assert (stage.steps, stage.examples) == (expected, 10 * expected)
    arm = planned.of_kind("intermediate")[0]
    assert arm.tokens == arm.examples * 14  # the declared sub-words a row of cldr_names
    assert arm.eval_tokens == 5 * 7 * 14  # every second update, seven rows of English dev


def test_data_that_is_not_here_plans_from_declared_sizes() -> None:
    planned = plan(study(intermediates=["none", "mnli"]))
    assert not planned.verified
    [one, _] = planned.of_kind("intermediate")
    assert one.steps > 3 * 390_000 // 32 * 0.98
    assert plan(study()).verified


def test_a_missing_data_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data_dir: .*nowhere: no such folder; expected <dataset>/<language>"):
        plan(study(data_dir=str(tmp_path / "nowhere")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder and a task file that reads it."""
    (tmp_path / "task.py").write_text(TASK_FILE)
    for language, split in (("en", "train"), ("en", "dev"), ("en", "test"), ("de", "test")):
        write(tmp_path, language, split, 20)
    return tmp_path


def write(folder: Path, language: str, split: str, rows: int) -> None:
    path = folder / "plan_test_data" / language / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(rows)], "label": [i % 2 for i in range(rows)]}), path)


def plan_folder(folder: Path) -> Plan:
    return plan(
        study(
            data_dir=str(folder), task_files=[str(folder / "task.py")], intermediates=["none", "cldr_names"],
            targets=["plan_test_task", "cldr_dates"],
        )
    )  # fmt: skip


@pytest.mark.parametrize(("split", "weights_change"), [("train", True), ("dev", True), ("test", False)])
def test_the_data_itself_is_in_the_key(folder: Path, split: str, weights_change: bool) -> None:
    before = plan_folder(folder)
    write(folder, "en", split, 21)
    after = plan_folder(folder)
    changed = [stage for stage in before.stages.values() if stage.key not in after.stages]
    assert {stage.target for stage in changed} == {"plan_test_task"}
    assert before.verified
    kept = {stage.train_key for stage in after.stages.values()}
    assert all((stage.train_key not in kept) == weights_change for stage in changed)


def test_a_missing_file_is_named_with_its_place(folder: Path) -> None:
    (folder / "plan_test_data" / "de" / "test.parquet").unlink()
    with pytest.raises(UserError, match=r"^targets\.0 \(plan_test_task\): .*de.test\.parquet"):
        plan_folder(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"hyperparameters": {"head_learning_rate": 2e-5}},
        {"hyperparameters": {"max_train_samples": 10**9}},
        {"intermediate_fractions": {"values": [1.0], "hold": "updates"}},
        {"target_fractions": {"values": [1.0], "hold": "updates"}},
    ],
)
def test_what_changes_no_outcome_changes_no_key(change: dict[str, Any]) -> None:
    one = {"intermediates": ["none", "cldr_names"], "targets": ["cldr_units", "cldr_match"]}
    assert keys(study(**one)) == keys(study(**one, **change))


def test_epochs_beside_a_number_of_updates_change_no_key() -> None:
    one = [study(hyperparameters={"max_steps": 20, "num_train_epochs": epochs}) for epochs in (3, 7)]
    assert keys(one[0]) == keys(one[1])


def test_target_dev_is_no_matter_of_intermediates() -> None:
    one = [study(intermediates=["cldr_names"], selection=selection) for selection in ("en_dev", "target_dev")]
    assert train_keys(one[0], "intermediate") == train_keys(one[1], "intermediate")
    assert train_keys(one[0], "target") != train_keys(one[1], "target")
