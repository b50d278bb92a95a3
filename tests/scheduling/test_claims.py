"""Two studies with the same arm and other settings of `keep`: neither takes the other's weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from results.rows import run_row

from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import write_attempt
from raystilts.scheduling.claims import CLAIMS_FILE, Claims, trainings, wanted_weights
from raystilts.scheduling.driver import write_study
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.retention import Retention
from raystilts.training.checkpoints import MARKER, Checkpoints

from .examples import study


def begin(tmp_path: Path, name: str, **changes: Any) -> tuple[Plan, Claims]:
    """A study at its start, with its weights there."""
    planned = plan(study(tmp_path, name=name, **changes))
    weights = Checkpoints(Path(checkpoints_folder(planned.study)))
    claims = Claims(results_folder(planned.study), weights)
    claims.claim(wanted_weights(planned), trainings(planned.stages.values()))
    for stage in planned.of_kind("intermediate"):
        (weights.folder / stage.train_key).mkdir(parents=True, exist_ok=True)
        (weights.folder / stage.train_key / MARKER).write_text("{}")
    return planned, claims


def end(planned: Plan, claims: Claims) -> None:
    """All its stages have finished."""
    graph = StageGraph(planned.stages)
    while (key := graph.take()) is not None:
        graph.finish(key)
    Retention(planned, graph, claims, {}).end()
    claims.write(())


def there(planned: Plan, claims: Claims) -> list[bool]:
    return [claims.checkpoints.has(stage.train_key) for stage in planned.of_kind("intermediate")]


@pytest.mark.parametrize("keep", ["none", "needed"])
def test_weights_that_another_study_keeps_stay(tmp_path: Path, keep: str) -> None:
    first, second = begin(tmp_path, "first", keep="all"), begin(tmp_path, "second", keep=keep)
    end(*first)
    end(*second)
    assert there(*first) == [True]
    shutil.rmtree(first[1].results)
    second[1].claim(wanted_weights(second[0]), ())
    end(second[0], Claims(second[1].results, second[1].checkpoints))
    assert there(*first) == [False], "with the folder of its results a study's claims go"


def test_weights_that_another_study_still_needs_stay_until_it_ends(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "first", keep="needed"), begin(tmp_path, "second", keep="none")
    end(*second)
    assert there(*first) == [True]
    end(*first)
    assert there(*first) == [False], "the last one that wanted them removes them"


@pytest.mark.parametrize("file", [None, b"{", b'{"train_keys": 1}'])
def test_a_study_whose_claims_cannot_be_read_keeps_what_it_has_trained(tmp_path: Path, file: bytes | None) -> None:
    first, second = begin(tmp_path, "first", keep="all"), begin(tmp_path, "second", keep="none")
    folder = Path(first[1].results)
    write_study(first[1].results, resolve(first[0].study))
    for stage in first[0].of_kind("intermediate"):
        row = run_row(stage.key, kind="intermediate", target=None, target_fraction=None, train_key=stage.train_key)
        write_attempt(folder, row, [])
    (folder / CLAIMS_FILE).unlink()
    if file is not None:
        (folder / CLAIMS_FILE).write_bytes(file)
    end(*second)
    assert there(*first) == [True]


def test_a_study_without_a_file_that_keeps_nothing_claims_nothing(tmp_path: Path) -> None:
    first, second = begin(tmp_path, "first", keep="none"), begin(tmp_path, "second", keep="none")
    folder = Path(first[1].results)
    write_study(first[1].results, resolve(first[0].study))
    for stage in first[0].of_kind("intermediate"):
        row = run_row(stage.key, kind="intermediate", target=None, target_fraction=None, train_key=stage.train_key)
        write_attempt(folder, row, [])
    (folder / CLAIMS_FILE).unlink()
    end(*second)
    assert there(*first) == [False]


@pytest.mark.parametrize("keep", ["none", "needed"])
def test_what_earlier_runs_of_a_study_have_kept_stays(tmp_path: Path, keep: str) -> None:
    """Its last run was of a part of it, and claims that part alone."""
    first, second = begin(tmp_path, "first", keep="all"), begin(tmp_path, "second", keep=keep)
    write_study(first[1].results, resolve(first[0].study))
    for stage in first[0].of_kind("intermediate"):
        row = run_row(stage.key, kind="intermediate", target=None, target_fraction=None, train_key=stage.train_key)
        write_attempt(Path(first[1].results), row, [])
    first[1].claim((), ())
    end(*second)
    assert there(*first) == [True]
