"""What really goes wrong: workers and drivers that are killed, a disk that fills up; and a run on an object store."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from raystilts.filesystem import open_folder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.lock import REMOTE_LOCK
from raystilts.scheduling.record import record_not_run
from raystilts.scheduling.trainable import Assignment, run_and_record
from raystilts.study.schema import Study

from .examples import study as small_study
from .runs import Run, run

slow = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Five stages: an intermediate, two targets, two retrievals; snapshots after each update.
STUDY = """
name: small
intermediates: [none, cldr_names]
targets: [{task: cldr_units, languages: [en]}, {task: cldr_match, languages: [de]}]
seeds: [0]
snapshot_s: 0
hyperparameters: {learning_rate: 5e-4, num_train_epochs: 1, max_train_samples: 64, per_device_train_batch_size: 4}
evaluation: {eval_steps: 0.5, max_dev_samples: 8, max_test_samples: 8}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs of this module take place, with relative paths."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "small.yaml").write_text(STUDY)
    return folder


def without_ray(planned: Plan) -> str:
    """Runs a plan's stages one after the other in this process; returns the results folder."""
    results = results_folder(planned.study)
    for stage in planned.stages.values():
        outcome = run_and_record(stage, Assignment(planned, results, checkpoints_folder(planned.study)))
        assert outcome["status"] == "finished"
    return results


def table(results: str | Path) -> pd.DataFrame:
    """All scores, in a fixed order."""
    scores = Results(results).scores().drop(columns=["attempt"])
    return scores.sort_values([c for c in scores.columns if c != "value"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def calm(folder: Path) -> pd.DataFrame:
    """The scores of a study that nobody disturbed."""
    study = Study.from_file(folder / "small.yaml", (f"storage_path={folder / 'calm'}",))
    return table(without_ray(plan(study)))


def workers(one: Run) -> list[int]:
    """The processes that run stages."""
    found = []
    for pid in one.processes():
        with contextlib.suppress(OSError):
            if b"ray::ResourceTrainable" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def snapshot_steps(storage: Path) -> dict[str, int]:
    """How far each training in progress is."""
    found = {}
    for path in storage.glob("checkpoints/in_progress/*/state.json"):
        with contextlib.suppress(OSError, ValueError):
            found[path.parent.name] = int(json.loads(path.read_text())["step"])
    return found


def _fill(file: Path) -> None:
    """Makes a file grow until its disk is full."""
    with contextlib.suppress(OSError), file.open("ab", buffering=0) as filler:
        while True:
            filler.write(b"x" * 10**6)


class TestProcesses:
    pytestmark = slow

    def test_a_killed_worker_goes_on_from_its_snapshot(self, folder: Path, calm: pd.DataFrame) -> None:
        storage = folder / "worker"
        with Run(folder, ["run", "small.yaml", "--storage-path", "worker"]) as one:
            seen: dict[str, list[int]] = defaultdict(list)
            killed_at: dict[str, int] = {}
            while one.process.poll() is None:
                steps = snapshot_steps(storage)
                for key, step in steps.items():
                    seen[key].append(step)
                if not killed_at and max(steps.values(), default=0) >= 4:
                    killed_at = steps
                    for pid in workers(one):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
            assert one.wait() == 0, one.err
        assert "its worker died (killed, or out of memory); it goes on from its last snapshot" in one.err
        assert "Traceback" not in one.err
        for key in killed_at:
            assert seen[key] == sorted(seen[key]), "a training that starts over would begin at 1 again"
        assert any(seen[key][-1] > step for key, step in killed_at.items())
        pd.testing.assert_frame_equal(table(storage / "small"), calm, check_exact=True)
        assert {row.attempt for row in Ledger(storage / "small").rows()} == {1}

    def test_a_driver_killed_three_times(self, folder: Path, calm: pd.DataFrame) -> None:
        """Alone, so that its workers live on for a moment, while the next driver is started."""
        chance = random.Random(3)
        results = folder / "driver" / "small"
        drivers = []
        for _ in range(3):
            one = Run(folder, ["run", "small.yaml", "--storage-path", "driver"])
            drivers.append(one)
            end = time.monotonic() + chance.uniform(4, 9)
            while time.monotonic() < end and one.process.poll() is None:
                time.sleep(0.01)
            one.process.kill()
            one.process.wait()
        last = run(folder, "run", "small.yaml", "--storage-path", "driver")
        for one in drivers:
            one.kill()
        assert last.code == 0, last.err
        pd.testing.assert_frame_equal(table(results), calm, check_exact=True)

    @pytest.fixture
    def tight(self, folder: Path) -> Iterator[Path]:
        """A disk of 600 MB: twice what two trainings that renew their snapshots, a checkpoint and leftovers take."""
        place = folder / "tight"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a small disk")
        yield place
        subprocess.run(["umount", "-l", str(place)], check=True)

    def test_a_disk_that_fills_up(self, folder: Path, tight: Path, calm: pd.DataFrame) -> None:
        filler = tight / "filler"
        with Run(folder, ["run", "small.yaml", "--storage-path", "tight"]) as one:
            one.until(tight / "small", 1)
            _fill(filler)
            assert one.wait() == 1, one.err
        assert "Traceback" not in one.err
        assert "no space left" in one.err
        assert "run the same command again" in " ".join(one.err.split()), one.err
        there = len(Ledger(tight / "small").finished())
        assert 1 <= there < 5
        _fill(filler)  # again: a run that dies leaves a little room behind
        full = run(folder, "run", "small.yaml", "--storage-path", "tight")
        assert (full.code, "no space left" in full.err) == (1, True), full.err
        filler.unlink()
        again = run(folder, "run", "small.yaml", "--storage-path", "tight")
        assert again.code == 0, again.err
        assert f"{5 - there} stages finished, {there} were there already" in again.err
        assert {row.status for row in Ledger(tight / "small").rows()} == {"finished"}
        pd.testing.assert_frame_equal(table(tight / "small"), calm, check_exact=True)

    def test_a_study_on_s3(self, folder: Path, bucket: str, calm: pd.DataFrame) -> None:
        """Killed on the way, so that its lock, its snapshots and its checkpoints are found again."""
        results = f"{bucket}/small"
        arguments = ["run", "small.yaml", "--storage-path", bucket, "--set", "keep=needed"]
        with Run(folder, arguments) as one:
            one.until(results, 1)
        assert REMOTE_LOCK in open_folder(results).names(""), "that of a driver that is no more"
        there = len(Ledger(results).finished())
        assert there < 5
        again = run(folder, *arguments)
        assert again.code == 0, again.err
        assert f"{5 - there} stages finished, {there} were there already" in again.err
        assert "gain over none" in again.out
        pd.testing.assert_frame_equal(table(results), calm, check_exact=True)
        from raystilts.training.checkpoints import RemoteCheckpoints, open_checkpoints

        kept = open_checkpoints(f"{bucket}/checkpoints")
        assert isinstance(kept, RemoteCheckpoints)
        assert not kept.remote.below(""), "keep: needed, and nothing is missing"


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    return plan(small_study(tmp_path))


def test_every_death_of_a_worker_is_a_row(planned: Plan) -> None:
    results = results_folder(planned.study)
    graph = StageGraph(planned.stages)
    parent = graph.take()
    assert parent is not None
    assert len(graph.fail(parent)) == 2
    for attempts in (1, 2):
        record_not_run(planned, graph, [parent], results)
        rows = Ledger(results).rows()
        mine = [row for row in rows if row.stage == parent]
        assert [(row.attempt, row.status, row.stop_reason) for row in mine] == [
            (number, "failed", "worker_died") for number in range(1, attempts + 1)
        ]
        children = [row for row in rows if row.parent_stage == parent]
        assert [(row.attempt, row.status, row.stop_reason) for row in children] == [(1, "failed", "parent_failed")] * 2
    record_not_run(planned, StageGraph(planned.stages), [], results)
    assert Ledger(results).rows() == rows
