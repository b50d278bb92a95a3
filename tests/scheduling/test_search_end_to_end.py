"""A hyperparameter search with Ray, killed in the middle: as many trials, none twice, and a file that a grid takes."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from raystilts.results.ledger import Ledger

from .runs import Run, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SEARCH = """
name: tune
intermediates: [none, cldr_names]
targets:
  - {task: cldr_units, languages: [en, de]}
seeds: [0]
hyperparameters: {num_train_epochs: 1, max_train_samples: 32}
evaluation: {eval_steps: 0.5, max_dev_samples: 16, max_test_samples: 16}
search:
  space:
    learning_rate: {loguniform: [1e-4, 1e-2]}
    per_device_train_batch_size: {choice: [4, 8]}
  num_samples: 5
  schedule: asha
"""
TRIALS = 10

GRID = """
name: grid
intermediates: [none]
targets:
  - {task: cldr_units, languages: [de]}
seeds: [1]
hyperparameters: {from: results/tune/hyperparameters.yaml, num_train_epochs: 1, max_train_samples: 32}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was killed twice, and then ended."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "tune.yaml").write_text(SEARCH)
    (folder / "grid.yaml").write_text(GRID)
    arguments = ["run", "tune.yaml", "--storage-path", "results"]
    for number in (3, 9):
        with Run(folder, arguments) as one:
            one.until(folder / "results" / "tune", number, attempts=True)
            one.kill()
    last = run(folder, *arguments)
    assert last.code == 0, last.err
    return folder


def test_a_killed_search_has_as_many_trials_and_repeats_none(folder: Path) -> None:
    rows = [row for row in Ledger(folder / "results" / "tune").rows() if row.status != "stopped"]
    assert len({row.stage for row in rows}) == TRIALS
    ended = Counter((row.stage, row.rung) for row in rows)
    assert max(ended.values()) == 1
    by_unit = Counter(row.target or row.intermediate for row in rows if row.rung is not None)
    assert by_unit == {"cldr_names": 5, "cldr_units": 5}
    finished = {row.stage for row in rows if row.status == "finished"}
    stopped = set(Ledger(folder / "results" / "tune").stopped())
    assert finished
    assert stopped
    assert finished | stopped == {row.stage for row in rows}


def test_the_same_command_tries_nothing(folder: Path) -> None:
    before = len(Ledger(folder / "results" / "tune").rows())
    again = run(folder, "run", "tune.yaml", "--storage-path", "results")
    assert again.code == 0
    assert len(Ledger(folder / "results" / "tune").rows()) == before
    assert "cldr_names (intermediate, accuracy on dev; 5 trials" in again.out


def test_best_tells_the_values_and_a_grid_takes_them(folder: Path) -> None:
    answer = run(folder, "best", "results/tune", "--json")
    found = {one["name"]: one for one in json.loads(answer.out)}
    assert found["cldr_units"]["trials"] == 5
    grid = run(folder, "run", "grid.yaml", "--storage-path", "results")
    assert grid.code == 0, grid.err
    [row] = Ledger(folder / "results" / "grid").rows()
    used = json.loads(row.hyperparameters)
    assert {name: used[name] for name in found["cldr_units"]["best"]} == found["cldr_units"]["best"]


def test_the_trials_can_be_opened_with_optuna(folder: Path) -> None:
    one = run(folder, "export-optuna", "results/tune", "sqlite:///search.db")
    assert one.code == 0, one.err
    assert one.out.split() == ["tune/cldr_names", "tune/cldr_units"]
    with sqlite3.connect(folder / "search.db") as database:
        states = Counter(state for (state,) in database.execute("select state from trials"))
    assert states["COMPLETE"] + states["PRUNED"] == TRIALS
    twice = run(folder, "export-optuna", "results/tune", "sqlite:///search.db")
    assert twice.code == 2
    assert "already" in twice.err


def test_a_search_can_be_planned(folder: Path) -> None:
    planned = run(folder, "plan", "tune.yaml", "--storage-path", "results", "--json")
    assert [(unit["name"], unit["trials"], unit["left"]) for unit in json.loads(planned.out)] == [
        ("cldr_names", 5, 0),
        ("cldr_units", 5, 0),
    ]
