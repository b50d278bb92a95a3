"""A stage's run in MLflow: on a server (`MLFLOW_TRACKING_URI`), else in a SQLite file beside the tables."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from raystilts.errors import UserError
from raystilts.filesystem import open_folder
from raystilts.tracking.cell import Ending, Point, TrackedStage

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
#: What MLflow takes at a time, and the longest parameter.
BATCH, LONGEST = 1000, 6000
_KEY = "raystilts.stage"
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "paused": "SCHEDULED", "interrupted": "KILLED"}


def prepare(project: str, results: str) -> dict[str, str]:
    """Makes the experiment, once before workers would at the same time; returns what they need to know.

    Raises:
        UserError: there is no server, and no disk for a file.
    """
    folder = open_folder(results)
    uri = os.environ.get(URI)
    if uri is None:
        if folder.path is None:
            raise UserError(f"report_to: mlflow: {results} is no folder on a disk; set {URI} to your MLflow server")
        folder.path.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{folder.path.absolute()}/mlflow.db"
    name = os.environ.get(EXPERIMENT, project)
    client = _client(uri)
    if client.get_experiment_by_name(name) is None:
        artifacts = f"{folder.path.absolute()}/mlflow-artifacts" if uri.startswith("sqlite:") and folder.path else None
        client.create_experiment(name, artifact_location=artifacts)
    return {URI: uri, EXPERIMENT: name}


def _client(uri: str) -> Any:
    # Nothing goes to MLflow's makers, and nothing about tables to the terminal.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


class Run:
    """A run with the stage's key as a tag: a stage that goes on goes on there."""

    def __init__(self, stage: TrackedStage) -> None:
        from mlflow.entities import Param

        self.client = _client(stage.settings[URI])
        experiment = self.client.get_experiment_by_name(stage.settings[EXPERIMENT]).experiment_id
        found = self.client.search_runs([experiment], f"tags.`{_KEY}` = '{stage.key}'", max_results=1)
        if found:
            self.id = found[0].info.run_id
            self.client.update_run(self.id, status="RUNNING")
            return
        tags = {_KEY: stage.key, "mlflow.source.name": "raystilts", "raystilts.kind": stage.kind}
        self.id = self.client.create_run(experiment, run_name=stage.name, tags=tags).info.run_id
        params = [Param(name, str(value)[:LONGEST]) for name, value in stage.config.items() if value is not None]
        self.client.log_batch(self.id, params=params)

    def log(self, points: Sequence[Point]) -> None:
        """Takes further points."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for batch in _batches(points):
            self.client.log_batch(self.id, metrics=[Metric(tag, value, now, step) for tag, step, value in batch])

    def end(self, ending: Ending) -> None:
        """Takes the last numbers, and closes the run."""
        step = int(ending.summary.get("best_step", 0))
        self.log([Point(tag, step, value) for tag, value in ending.summary.items()])
        self.client.set_terminated(self.id, _STATUS[ending.status])


def _batches(points: Sequence[Point]) -> Iterator[list[Point]]:
    left = iter(points)
    while batch := list(islice(left, BATCH)):
        yield batch
