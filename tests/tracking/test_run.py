"""A whole run on Ray that reports to three trackers and is watched by another process."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from scheduling.runs import STUDY, Run

from raystilts.results.ledger import Ledger


@pytest.mark.slow
def test_a_run_with_trackers_that_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("wandb", "mlflow", "tensorboard"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "small.yaml").write_text(STUDY)
    results = tmp_path / "out" / "small"
    arguments = ["run", "small.yaml", "--storage-path", "out", "--report-to", "wandb,mlflow,tensorboard"]
    with Run(tmp_path, arguments, trackers=True) as run:
        while not results.is_dir():
            assert run.process.poll() is None, run.err
            time.sleep(0.1)
        with Run(tmp_path, ["watch", str(results)]) as watch:
            assert watch.wait() == 0, watch.err
            assert run.wait() == 0, run.err
            seen = watch.out.splitlines()
    said = run.err.splitlines()
    assert said[0] == "raystilts: reading small.yaml"
    steps = [line.partition("] ")[2] for line in said if " s] " in line]
    assert steps[0] == "reading the encoder raystilts-mini and the data"
    rehearsed = [step for step in steps if step.startswith("rehearsing ")]
    assert [step.rpartition(", ")[2] for step in rehearsed] == [
        f"kind {number} of {len(rehearsed)}" for number in range(1, len(rehearsed) + 1)
    ]
    assert rehearsed
    assert "starting Ray" in steps
    assert not [line for line in said if "report_to" in line], "no tracker has failed"
    assert [line for line in seen if line.startswith("the run has ended: 15 done")]
    assert [line for line in seen if line.startswith("cldr_units: ")], "with the verdict at its end"
    stages = {row.stage for row in Ledger(results).finished().values()}
    assert len(stages) == 15
    assert len(list((results / "wandb").glob("offline-run-*/*.wandb"))) == 15
    assert len([path for path in (results / "tensorboard").iterdir() if len(list(path.iterdir())) == 1]) == 15
    with sqlite3.connect(results / "mlflow.db") as connection:
        rows = connection.execute("SELECT t.value, r.status FROM tags t JOIN runs r USING (run_uuid) "
                                  "WHERE t.key = 'raystilts.stage'").fetchall()  # fmt: skip
    assert set(rows) == {(stage, "FINISHED") for stage in stages}
