"""Whole runs with Ray: what is trained, and what happens when somebody stops it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from raystilts.results.answers import ArmAnswer
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results

from .runs import STUDY, Run, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Intermediates x fractions x seeds, then `none` and two arms x seeds, then retrieval: `none` once, and each arm.
INTERMEDIATE, TARGET, RETRIEVAL = 4, 6, 5
STAGES = INTERMEDIATE + TARGET + RETRIEVAL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs of this module take place, with relative paths."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    """The results of a run that nobody disturbed."""
    first = run(folder, "run", "small.yaml", "--storage-path", "calm")
    assert first.code == 0, first.err
    assert "15 stages finished, 0 were there already" in first.err
    return folder / "calm" / "small"


def finished(results: Path) -> Counter[str]:
    """Finished rows by kind of stage, several attempts counted."""
    return Counter(row.kind for row in Ledger(results).rows() if row.status == "finished")


def table(results: Path) -> pd.DataFrame:
    """All scores, in a fixed order."""
    scores = Results(results).scores().drop(columns=["attempt"])
    return scores.sort_values([c for c in scores.columns if c != "value"]).reset_index(drop=True)


def test_a_study_runs(undisturbed: Path) -> None:
    assert finished(undisturbed) == {"intermediate": INTERMEDIATE, "target": TARGET, "retrieval": RETRIEVAL}
    assert {row.status for row in Ledger(undisturbed).rows()} == {"finished"}
    progress = json.loads((undisturbed / "progress.json").read_text())
    assert (progress["done"], progress["failed"], progress["running"], progress["waiting"]) == (STAGES, 0, 0, 0)
    kept = {path.name for path in (undisturbed.parent / "checkpoints").iterdir()} - {"in_progress"}
    assert kept == {row.train_key for row in Ledger(undisturbed).rows() if row.kind == "intermediate"}


def test_the_same_command_trains_nothing_and_shows_the_same(folder: Path, undisturbed: Path) -> None:
    before, files = table(undisturbed), sorted(undisturbed.rglob("*.parquet"))
    again = run(folder, "run", "small.yaml", "--storage-path", "calm")
    assert again.code == 0
    assert "nothing to train, 15 were there already" in again.err
    assert "gain over none" in again.out
    assert sorted(undisturbed.rglob("*.parquet")) == files
    pd.testing.assert_frame_equal(table(undisturbed), before, check_exact=True)


def test_answers(folder: Path, undisturbed: Path) -> None:
    one = run(folder, "best", str(undisturbed), "--json")
    arms = json.loads(one.out)
    assert one.code == 0
    assert {frozenset(arm) for arm in arms} == {frozenset(ArmAnswer.__dataclass_fields__)}
    assert {(arm["target"], arm["intermediate"], arm["intermediate_fraction"]) for arm in arms} == {
        (target, *arm)
        for target in ("cldr_units", "cldr_match")
        for arm in (("none", None), ("cldr_names", 0.5), ("cldr_names", 1.0))
    }
    assert {arm["competes"] for arm in arms if arm["intermediate_fraction"] == 0.5} == {False}


def test_killed_and_started_again(folder: Path, undisturbed: Path) -> None:
    results = folder / "killed" / "small"
    with Run(folder, ["run", "small.yaml", "--storage-path", "killed"]) as one:
        one.until(results, 6)
    there = len(Ledger(results).finished())
    assert there < STAGES
    again = run(folder, "run", "small.yaml", "--storage-path", "killed")
    assert again.code == 0, again.err
    assert f"{STAGES - there} stages finished, {there} were there already" in again.err
    assert max(Counter(row.stage for row in Ledger(results).rows() if row.status == "finished").values()) == 1
    pd.testing.assert_frame_equal(table(results), table(undisturbed), check_exact=True)


def test_interrupted_and_gone_on_with(folder: Path, undisturbed: Path) -> None:
    results = folder / "interrupted" / "small"
    with Run(folder, ["run", "small.yaml", "--storage-path", "interrupted"]) as one:
        one.until(results, 3)
        one.interrupt()
        assert one.wait(60) == 130, one.err
    assert "Traceback" not in one.err
    command = shlex.split(one.err.strip().splitlines()[-1])
    assert command == ["raystilts", "run", "small.yaml", "--storage-path", "interrupted"]
    again = run(folder, *command[1:])
    assert again.code == 0, again.err
    pd.testing.assert_frame_equal(table(results), table(undisturbed), check_exact=True)


FAILING_TASK = """
import pyarrow as pa
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification


class Unscored(SequenceClassification):
    def score(self, predictions, rows, language):
        raise ArithmeticError("no score today")


def rows(language, split):
    return pa.table({"text": [f"row {i}" for i in range(60)], "label": ["no" if i % 2 else "yes" for i in range(60)]})


def source(split):
    return Generated(generator="failing_task:rows", version="1", split=split, rows=60)


TASK = Task(
    name="failing", type=Unscored(text="text", labels=("no", "yes")), train=source("train"),
    dev=source("dev"), test=source("test"), languages=("en",), dev_languages=("en",), main_score="accuracy",
    description="a metric that fails", licence="none", citation="none", url="none",
)
"""


def test_what_is_new_is_trained_and_what_fails_fails_alone(folder: Path, undisturbed: Path) -> None:
    """After all others: one more seed, one more target, and an intermediate that always fails."""
    (folder / "failing_task.py").write_text(FAILING_TASK)
    study = STUDY.replace("seeds: [0, 1]", "seeds: [0, 1, 2]\ntask_files: [failing_task.py]")
    study = study.replace("targets:", "targets:\n  - {task: cldr_same, languages: [de]}")
    (folder / "more.yaml").write_text(study.replace("cldr_names]", "cldr_names, failing]"))
    before = set(Ledger(undisturbed).finished())
    for attempts in (1, 2):
        one = run(folder, "run", "more.yaml", "--storage-path", "calm", path=folder)
        assert one.code == 1, one.err
        assert "Traceback" not in one.err
        assert "6 stages failed, 18 were not run for that:" in one.err
        assert "train failing seed 0: ArithmeticError: no score today" in one.err
        new = [row for row in Ledger(undisturbed).rows() if row.stage not in before]
        assert Counter((row.kind, row.target, row.status, row.stop_reason) for row in new) == {
            ("intermediate", None, "finished", None): 2,
            ("target", "cldr_units", "finished", None): 3,
            ("retrieval", "cldr_match", "finished", None): 2,
            ("target", "cldr_same", "finished", None): 9,
            ("intermediate", None, "failed", "error"): 6 * attempts,
            ("target", "cldr_units", "failed", "parent_failed"): 6,
            ("target", "cldr_same", "failed", "parent_failed"): 6,
            ("retrieval", "cldr_match", "failed", "parent_failed"): 6,
        }
    not_run = next(row for row in new if row.stop_reason == "parent_failed")
    assert not_run.error == f"not run: the training of failing (seed {not_run.seed}) failed"
    assert max(Counter(row.stage for row in new if row.status == "finished").values()) == 1
