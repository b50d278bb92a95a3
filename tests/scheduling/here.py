"""A driver without Ray: the same search and the same stages, one after the other in this process."""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from ray.tune.search import Searcher

from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stages import plan
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import outstanding
from raystilts.scheduling.record import record_outcome
from raystilts.scheduling.searchers import StageSearch
from raystilts.scheduling.trainable import Assignment, run_and_record
from raystilts.study.schema import Study
from raystilts.training.checkpoints import Checkpoints


def run_here(study: Study, segments: int | None = None) -> StageGraph:
    """Runs what is missing of a study, or so many segments of it."""
    gc.freeze()  # a stage ends with a collection, which then need not look at what was loaded before
    try:
        return _run(study, segments)
    finally:
        gc.unfreeze()


def _run(study: Study, segments: int | None) -> StageGraph:
    planned, results, folder = plan(study), results_folder(study), checkpoints_folder(study)
    Path(results).mkdir(parents=True, exist_ok=True)
    graph = outstanding(planned, results)
    record = None
    if graph.strata is not None:
        record = partial(record_outcome, study, graph.strata, Ledger(results), results, Checkpoints(Path(folder)))
    search = StageSearch(graph, record)
    search.record_decisions()
    done = 0
    while done != segments and (config := search.suggest(str(done))) != Searcher.FINISHED:
        assert isinstance(config, dict)
        stage = planned.stages[config["stage"]]
        attempts = {row.stage: row.attempt for row in Ledger(results).rows()}
        assignment = Assignment(planned, results, folder, attempts)
        search.on_trial_complete(str(done), run_and_record(stage, assignment, config["until"]))
        done += 1
    return graph


def tables(results: str | Path) -> dict[str, Any]:
    """Final scores, curves, decisions and how every stage stands, without times and numbers of attempts."""
    read = Results(results)
    return {
        "scores": _sorted(read.scores().drop(columns="attempt")),
        "curves": _sorted(read.curves().drop(columns="attempt")),
        "decisions": _sorted(read.decisions().drop(columns="decided_at")),
        "runs": _sorted(read.runs()[["stage", "status", "stop_reason", "rung", "steps_done", "steps_planned"]]),
    }


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values([c for c in frame.columns if c != "value"]).reset_index(drop=True)


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Fails where two results folders differ in a value."""
    for name, table in one.items():
        pd.testing.assert_frame_equal(table, other[name], check_exact=True, obj=name)
