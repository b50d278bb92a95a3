"""Real stages report to the real libraries, all offline; what these have kept is read back by their own means."""

from __future__ import annotations

import importlib
import json
import math
import pickle
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from scheduling.examples import study

from raystilts.errors import UserError
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger, read_scores
from raystilts.results.schema import ScoreRow
from raystilts.scheduling.trainable import Assignment, run_and_record
from raystilts.study.schema import TrackerName
from raystilts.tracking import reporter
from raystilts.tracking.check import prepare


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSTILTS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(reporter, "_OFF", {})


def target(planned: Plan) -> Stage:
    """The stage that trains the target from the encoder."""
    [stage] = [one for one in planned.of_kind("target") if one.parent is None]
    return stage


def tracked(tmp_path: Path, *trackers: TrackerName, **changes: Any) -> tuple[Plan, Assignment, list[str]]:
    """A plan with trackers that are ready, its assignment, and what was said of those that are not."""
    planned = plan(study(tmp_path, report_to=list(trackers), **changes))
    results, said = results_folder(planned.study), list[str]()
    ready = prepare(planned.study, results, said.append)
    assert ready.names == trackers
    return planned, Assignment(planned, results, checkpoints_folder(planned.study), trackers=ready.settings), said


def scores_of(assignment: Assignment, stage: Stage) -> dict[tuple[str, str, str, int, bool], float]:
    """What the ledger has of a stage's first attempt, to the last bit."""
    rows: list[ScoreRow] = read_scores(assignment.results, stage.key, 1)
    return {(row.split, row.language, row.metric, row.step, row.is_final): row.value for row in rows}


def expected_losses(assignment: Assignment, stage: Stage) -> int:
    """Updates of a stage."""
    return Ledger(assignment.results).finished()[stage.key].steps_done


def test_tensorboard(tmp_path: Path) -> None:
    name = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(name, reason="tensorboard is not installed")
    planned, assignment, _ = tracked(tmp_path, "tensorboard")
    stage = target(planned)
    assert run_and_record(stage, assignment)["trackers"] == {}
    folder = Path(assignment.results) / "tensorboard" / f"none-cldr_units-seed0-{stage.key[:6]}"
    assert len(list(folder.iterdir())) == 1, "one file in place of those of the reports"
    read = reader.EventAccumulator(str(folder)).Reload()
    scores = scores_of(assignment, stage)
    assert [event.step for event in read.Scalars("train/loss")] == [1, 2]
    dev = {step: value for (split, language, metric, step, _), value in scores.items()
           if (split, language, metric) == ("dev", "en", "accuracy")}  # fmt: skip
    assert {event.step: event.value for event in read.Scalars("dev/en/accuracy")} == pytest.approx(dev)
    [test] = [value for key, value in scores.items() if key[0] == "test" and key[2] == "accuracy"]
    assert [event.value for event in read.Scalars("final/test/en/accuracy")] == [pytest.approx(test)]
    [cell] = read.Tensors("cell/text_summary")
    assert b'"intermediate": "none"' in cell.tensor_proto.string_val[0]


def test_wandb_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    planned, assignment, _ = tracked(tmp_path, "wandb")
    stage = target(planned)
    assert run_and_record(stage, assignment)["trackers"] == {}
    [file] = (Path(assignment.results) / "wandb").glob("offline-run-*/*.wandb")
    history, config, summary, run = read_wandb(file)
    assert (run.run_id, run.project, run.job_type, run.run_group) == (stage.key, "small", "target", "cldr_units")
    assert {name: config[name] for name in ("encoder", "intermediate", "target", "seed", "num_train_epochs")} == {
        "encoder": "raystilts-mini", "intermediate": "none", "target": "cldr_units", "seed": 0, "num_train_epochs": 1,
    }  # fmt: skip
    losses = {row["update"]: row["train/loss"] for row in history if "train/loss" in row}
    assert set(losses) == {1, 2}
    assert all(math.isfinite(value) for value in losses.values())
    scores = scores_of(assignment, stage)
    dev = {step: value for (split, language, metric, step, _), value in scores.items()
           if (split, language, metric) == ("dev", "en", "accuracy")}  # fmt: skip
    assert {row["update"]: row["dev/en/accuracy"] for row in history if "dev/en/accuracy" in row} == dev
    [test] = [value for key, value in scores.items() if key[0] == "test" and key[2] == "accuracy"]
    assert summary["final/test/en/accuracy"] == test


def log_records(data: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format (blocks of 32 kB; checksum, length, type), after W&B's head of 7 bytes."""
    whole, place, block = b"", 7, 32768
    while place + 7 <= len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        size, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # the whole of a record, or its last part
            yield whole
            whole = b""


def read_wandb(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any], Any]:
    """History, config, summary and head of an offline run."""
    records = importlib.import_module("wandb.proto.wandb_internal_pb2")
    history, config, summary, run = [], dict[str, Any](), dict[str, Any](), None
    for data in log_records(file.read_bytes()):
        record = records.Record()
        record.ParseFromString(data)
        match record.WhichOneof("record_type"):
            case "history":
                history.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
            case "run":
                run = record.run
                config |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
            case "summary":
                for i in record.summary.update:
                    summary[i.key or "/".join(i.nested_key)] = json.loads(i.value_json)
    return history, config, summary, run


def test_mlflow_in_a_file_beside_the_tables(tmp_path: Path) -> None:
    tracking = pytest.importorskip("mlflow.tracking", reason="mlflow is not installed")
    planned, assignment, _ = tracked(tmp_path, "mlflow")
    for stage in planned.of_kind("intermediate"):
        assert run_and_record(stage, assignment)["trackers"] == {}
    stage = target(planned)
    for _ in range(2):  # the second attempt goes on in the run of the first
        assert run_and_record(stage, assignment)["trackers"] == {}
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{assignment.results}/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'small'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {f"none-cldr_units-seed0-{stage.key[:6]}",
                         f"cldr_names-seed0-{planned.of_kind('intermediate')[0].key[:6]}"}  # fmt: skip
    run = runs[f"none-cldr_units-seed0-{stage.key[:6]}"]
    assert run.info.status == "FINISHED"
    assert {"target": "cldr_units", "seed": "0", "learning_rate": "2e-05"}.items() <= run.data.params.items()
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert {metric.step for metric in losses} == {1, 2}
    [test] = [value for key, value in scores_of(assignment, stage).items() if key[0] == "test" and key[2] == "accuracy"]
    assert run.data.metrics["final/test/en/accuracy"] == test


def test_trackio_on_this_disk(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    planned, assignment, _ = tracked(tmp_path, "trackio")
    stage = target(planned)
    # In a process of its own: Trackio takes its folder from the environment when it is imported.
    code = (
        "import sys, pickle; from raystilts.scheduling.trainable import run_and_record; "
        "a, key = pickle.load(open(sys.argv[1], 'rb')); r = run_and_record(a.plan.stages[key], a); "
        "assert r['trackers'] == {}, r"
    )
    (tmp_path / "work").write_bytes(pickle.dumps((assignment, stage.key)))
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "work")], check=True, cwd=tmp_path)
    [file] = (tmp_path / "trackio").glob("small*.db")
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    assert {row[0] for row in rows} == {f"none-cldr_units-seed0-{stage.key[:6]}"}
    values = [(step, json.loads(metrics)) for _, step, metrics in rows]
    assert {step for step, metrics in values if "train/loss" in metrics} == {1, 2}
    [test] = [value for key, value in scores_of(assignment, stage).items() if key[0] == "test" and key[2] == "accuracy"]
    final = "final/test/en/accuracy"
    assert [metrics[final] for _, metrics in values if final in metrics] == [test]


def test_outcomes_are_the_same_to_the_last_bit_with_trackers_and_without(tmp_path: Path) -> None:
    found, none, two = [], tuple[TrackerName, ...](), ("tensorboard", "mlflow")
    for number, trackers in enumerate((none, cast("tuple[TrackerName, ...]", two))):
        for name in trackers:
            pytest.importorskip(name)
        planned, assignment, _ = tracked(tmp_path / str(number), *trackers)
        stage = target(planned)
        run_and_record(stage, assignment)
        found.append((stage.key, scores_of(assignment, stage)))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3


def test_a_tracker_that_fails_leaves_the_stage_alone_and_is_left_alone(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    planned, assignment, _ = tracked(tmp_path, "mlflow")
    (Path(assignment.results) / "mlflow.db").write_bytes(b"no database " * 100)
    stage = target(planned)
    outcome = run_and_record(stage, assignment)
    assert outcome["status"] == "finished"
    assert list(outcome["trackers"]) == ["mlflow"]
    assert "file is not a database" in outcome["trackers"]["mlflow"]
    [retrieval] = [one for one in planned.of_kind("retrieval") if one.parent is None]
    assert run_and_record(retrieval, assignment)["trackers"] == {}, "not tried again, nor told again"


def test_without_a_login_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    for name, value in {"WANDB_MODE": "online", "HOME": str(tmp_path), "NETRC": str(tmp_path / "no")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(UserError, match="run wandb login, or set WANDB_MODE=offline"):
        prepare(study(tmp_path, report_to="wandb"), str(tmp_path), print)


def test_mlflow_needs_a_server_where_results_are_on_an_object_store() -> None:
    with pytest.raises(UserError, match=r"memory://x is no folder on a disk; set MLFLOW_TRACKING_URI"):
        prepare(study(Path(), report_to="mlflow"), "memory://x", print)


def test_a_server_that_is_not_there_is_told_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    planned = plan(study(tmp_path, report_to="mlflow"))
    said: list[str] = []
    ready = prepare(planned.study, results_folder(planned.study), said.append)
    assert ready.names == ()
    [line] = said
    assert line.startswith("warning: report_to: mlflow gets no runs of this study: ")
    assert "secret" not in line
    assert "\n" not in line
