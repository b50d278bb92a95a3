"""A study with two encoders from start to end: one Ray run, an answer for each, and what a rerun and schedules do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raystilts.analysis.encoders import compare_encoders
from raystilts.planning.stages import Plan, plan
from raystilts.report.completeness import completeness
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.schedules.halve import Halve
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import turns_of
from raystilts.scheduling.record import decision_row
from raystilts.scheduling.retention import BestArms
from raystilts.scheduling.schedule import Strata
from raystilts.study.schema import Study

from .examples import study

ENCODERS = ["raystilts-mini", {"model_name_or_path": "raystilts-mini", "pooling": "mean", "name": "mini-mean"}]


def several(tmp_path: Path, **changes: Any) -> Study:
    return study(tmp_path, encoders=ENCODERS, **changes)


def test_each_encoder_has_strata_of_its_own(tmp_path: Path) -> None:
    arms = ["none", "cldr_names", "cldr_dates", "cldr_span"]
    planned = plan(several(tmp_path, schedule="halve", seeds=[0, 1, 2], intermediates=arms, targets=["cldr_units"]))
    assert isinstance(planned.study.schedule, Halve)
    strata = Strata(planned)
    assert len(strata._strata) == 2
    graph = StageGraph(planned.stages, strata)
    order = {"raystilts-mini": arms, "mini-mean": arms[::-1]}
    while (key := graph.take()) is not None:
        stage = planned.stages[key]
        level = order[stage.encoder].index(stage.intermediate.label)
        graph.finish(key, 0.5 + 0.1 * level if stage.target else None)
    rows = [decision_row(one, planned.study) for one in strata.take_decisions()]
    assert {row.encoder for row in rows} == {"raystilts-mini", "mini-mean"}
    compared = {row.encoder: json.loads(row.scores)["cldr_span"] for row in rows}
    assert compared == pytest.approx({"raystilts-mini": 0.8, "mini-mean": 0.5}), "each by its own scores"


def test_one_encoder_after_the_other_seed_by_seed(tmp_path: Path) -> None:
    """A process holds one encoder at a time: changing it at every stage would load it again at every stage."""
    planned = plan(several(tmp_path, seeds=[0, 1], targets=["cldr_units", "cldr_dates"]))
    graph, order = StageGraph(planned.stages, turns=turns_of(planned)), []
    while (key := graph.take()) is not None:
        graph.finish(key)
        order.append((planned.stages[key].encoder, planned.stages[key].seed))
    first = [encoder for encoder, seed in order if seed == 0]
    assert first == ["raystilts-mini"] * 5 + ["mini-mean"] * 5
    assert next(place for place, (_, seed) in enumerate(order) if seed == 1) > 3


def test_the_best_arm_of_each_encoder_is_kept(tmp_path: Path) -> None:
    planned = plan(several(tmp_path, targets=["cldr_units"]))
    best = BestArms(1.0)
    for stage in planned.of_kind("target"):
        best.add(stage)
    for stage in planned.of_kind("target"):
        good = (stage.intermediate.label == "none") == (stage.encoder == "mini-mean")
        best.settle(stage, 0.9 if good else 0.1)
    leaders = {stratum[0]: arm[0] for stratum, (_, arm) in best.best.items()}
    assert leaders == {"raystilts-mini": "cldr_names", "mini-mean": "none"}


def expected(planned: Plan) -> set[tuple[str, str]]:
    return {(key, stage.encoder) for key, stage in planned.stages.items()}


@pytest.mark.slow
def test_a_study_of_two_encoders(tmp_path: Path) -> None:
    from raystilts.scheduling.run import run

    alone = study(tmp_path, name="alone")
    run(alone)
    both = several(tmp_path, name="both")
    outcome = run(both)
    rows = Ledger(outcome.results).finished()
    assert {(key, row.encoder) for key, row in rows.items()} == expected(plan(both))
    taken = {key for key, row in rows.items() if row.source == "study alone"}
    assert taken == plan(alone).stages.keys(), "what one encoder has done elsewhere is taken over"
    assert run(both).finished == 0
    results = Results(outcome.results)
    assert results.encoders() == ["raystilts-mini", "mini-mean"]
    found = completeness(results)
    assert found is not None
    assert (found.done, found.asked) == (8, 8)
    mine = results.of_encoder("mini-mean")
    assert (study_of := mine.study()) is not None
    assert study_of.encoder.pooling == "mean"
    own = completeness(mine)
    assert own is not None
    assert (own.done, own.asked) == (4, 4)
    compared = compare_encoders(results)
    assert {one.target for one in compared} == {"cldr_units", "cldr_match"}
    assert (Path(outcome.results) / "finals.parquet").exists() is False, "written by the command"
