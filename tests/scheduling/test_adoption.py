from __future__ import annotations

from pathlib import Path

import pytest

from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stages import Plan, plan
from raystilts.results.compaction import compact
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.outstanding import adopt
from raystilts.scheduling.trainable import Assignment, run_and_record

from .examples import study


def finish(planned: Plan, *keys: str) -> str:
    results = results_folder(planned.study)
    for key in keys:
        run_and_record(planned.stages[key], Assignment(planned, results, checkpoints_folder(planned.study)))
    return results


@pytest.mark.parametrize("compacted", [False, True])
def test_what_a_neighbour_has_finished_is_not_done_again(tmp_path: Path, compacted: bool) -> None:
    first = plan(study(tmp_path, name="first"))
    there = finish(first, *first.stages)
    if compacted:
        compact(there)
    arms = ["none", {"task": "cldr_names", "name": "names"}]
    second = plan(study(tmp_path, name="second", intermediates=arms, seeds=[0, 1]))
    here = results_folder(second.study)
    common = first.stages.keys() & second.stages.keys()
    assert len(common) == len(first.stages) == 5
    assert adopt(second, here) == 5
    assert adopt(second, here) == 0
    rows = Ledger(here).finished()
    assert rows.keys() == common
    assert {(row.study, row.source) for row in rows.values()} == {("second", "study first")}
    assert {row.intermediate for row in rows.values()} == {"none", "names"}
    originals = Ledger(there).finished()
    for key, row in rows.items():
        assert (row.steps_done, row.ended_at, row.checkpoint) == (
            originals[key].steps_done, originals[key].ended_at, originals[key].checkpoint,
        )  # fmt: skip
    mine, theirs = (
        Results(folder).scores().sort_values(["stage", "step", "split", "language", "metric"])
        for folder in (here, there)
    )
    assert mine["value"].tolist() == theirs["value"].tolist()
    assert set(mine["intermediate"]) == {"none", "names"}
    assert set(mine["study"]) == {"second"}


def test_what_failed_there_is_tried_here(tmp_path: Path) -> None:
    first = plan(study(tmp_path, name="first", time_limit_s=1e-9))
    [parent] = first.of_kind("intermediate")
    finish(first, parent.key)
    second = plan(study(tmp_path, name="second"))
    assert adopt(second, results_folder(second.study)) == 0


def test_no_neighbours(tmp_path: Path) -> None:
    one = plan(study(tmp_path / "new"))
    assert adopt(one, results_folder(one.study)) == 0
