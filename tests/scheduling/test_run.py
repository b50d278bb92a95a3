from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from raystilts.errors import StorageError
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger
from raystilts.scheduling.outstanding import missing_stages
from raystilts.scheduling.run import run
from raystilts.scheduling.trainable import Assignment, run_and_record
from raystilts.training.checkpoints import Checkpoints

from .examples import study


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    return plan(study(tmp_path))


def record(planned: Plan, stage: Stage) -> dict[str, object]:
    results = results_folder(planned.study)
    return run_and_record(stage, Assignment(planned, results, checkpoints_folder(planned.study)))


def missing(planned: Plan) -> list[str]:
    """Kind and arm of what is missing, in the order of the plan."""
    results = results_folder(planned.study)
    found = missing_stages(planned, Ledger(results), Checkpoints(Path(checkpoints_folder(planned.study))))
    return [f"{stage.kind} {stage.intermediate.label}" for stage in found.values()]


def test_what_is_recorded_is_no_longer_missing(planned: Plan) -> None:
    everything = [
        "intermediate cldr_names", "target none", "target cldr_names", "retrieval none", "retrieval cldr_names",
    ]  # fmt: skip
    assert missing(planned) == everything
    [parent] = planned.of_kind("intermediate")
    outcome = record(planned, parent)
    assert outcome["status"] == "finished"
    assert missing(planned) == everything[1:]
    Checkpoints(Path(checkpoints_folder(planned.study))).remove(parent.train_key)
    assert missing(planned) == everything, "weights that are gone but needed are trained again"
    for _ in range(2):
        record(planned, parent)
    for stage in [*planned.of_kind("target"), *planned.of_kind("retrieval")]:
        assert record(planned, stage)["status"] == "finished"
    assert missing(planned) == []
    Checkpoints(Path(checkpoints_folder(planned.study))).remove(parent.train_key)
    assert missing(planned) == [], "weights that nothing needs any more are not missed"


def test_rows_say_what_ran(planned: Plan) -> None:
    [parent] = planned.of_kind("intermediate")
    record(planned, parent)
    [row] = Ledger(results_folder(planned.study)).rows()
    assert (row.stage, row.train_key, row.kind, row.intermediate, row.seed, row.attempt) == (
        parent.key, parent.train_key, "intermediate", "cldr_names", 0, 1,
    )  # fmt: skip
    assert (row.status, row.steps_done, row.steps_planned, row.examples) == ("finished", 2, 2, 8)
    assert row.encoder_fingerprint == planned.encoder.fingerprint
    assert row.checkpoint is not None
    assert Path(row.checkpoint).is_dir()
    assert json.loads(row.hyperparameters)["max_train_samples"] == 8
    assert {"torch", "ray", "python"} <= json.loads(row.versions).keys()


@pytest.mark.parametrize(
    ("change", "reason", "error"),
    [
        ({"time_limit_s": 1e-9}, "timeout", "longer than time_limit_s = 1e-09"),
        ({"hyperparameters": {"learning_rate": 1e30, "max_grad_norm": 0, "max_train_samples": 64,
                              "per_device_train_batch_size": 8}}, "nan", "the loss is not finite by update"),
    ],
    ids=["timeout", "nan"],
)  # fmt: skip
def test_a_failure_is_a_row(tmp_path: Path, change: dict[str, object], reason: str, error: str) -> None:
    planned = plan(study(tmp_path, **change))
    [parent] = planned.of_kind("intermediate")
    assert record(planned, parent)["status"] == "failed"
    [row] = Ledger(results_folder(planned.study)).rows()
    assert (row.status, row.stop_reason) == ("failed", reason)
    assert str(row.error).startswith(error)


def test_a_missing_parent_is_a_row_too(planned: Plan) -> None:
    [_, child] = planned.of_kind("target")
    assert record(planned, child)["status"] == "failed"
    [row] = Ledger(results_folder(planned.study)).rows()
    assert "run its stage first" in str(row.error)


def test_one_driver_a_folder(tmp_path: Path) -> None:
    one = study(tmp_path)
    results = Path(results_folder(one))
    results.mkdir(parents=True)
    with FileLock(results / ".driver.lock"), pytest.raises(StorageError, match="another raystilts run"):
        run(one)
