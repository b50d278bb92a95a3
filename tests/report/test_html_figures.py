"""Curves, sizes and costs: the values behind the drawings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from results.rows import START, run_row

from raystilts.report.html.charts import Curve, Points, average, intermediate_sizes, target_curves, target_sizes
from raystilts.report.html.gather import dev_points
from raystilts.report.html.provenance import spent
from raystilts.report.html.targets import decisions_part
from raystilts.results.answers import TargetAnswer
from raystilts.results.ledger import write_decision
from raystilts.results.results import Results
from raystilts.results.schema import DecisionRow, RunRow, to_table

from .pages import HOSTILE, write_everything


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(write_everything(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def xnli(results: Results) -> TargetAnswer:
    [answer] = results.answers("xnli")
    return answer


def rounded(points: Points) -> Points:
    return [(share, round(value, 9)) for share, value in points]


def test_curves_and_where_they_stopped(results: Results, xnli: TargetAnswer) -> None:
    found = target_curves(dev_points(results), xnli)
    [hostile] = [runs for place, runs in found.items() if xnli.arms[place].intermediate == HOSTILE]
    assert len(hostile) == 4
    [stopped] = [run for run in hostile if run.stopped_at is not None]
    assert stopped.stopped_at == 0.5
    assert rounded(stopped.points) == [(0.2, 0.2), (0.5, 0.5)]
    finished = [run for run in hostile if run.stopped_at is None]
    assert rounded(average(finished)) == [(0.5, 0.41), (1.0, 0.51)]
    assert {xnli.arms[place].intermediate for place in found} == {"none", "snli", "squad", "mnli", HOSTILE}


def test_the_mean_is_over_what_all_runs_have() -> None:
    curves = [Curve([(0.5, 0.2), (1.0, 0.4)], None), Curve([(1.0, 0.6)], None)]
    assert average(curves) == [(1.0, 0.5)]
    assert average([]) == []


def test_sizes(xnli: TargetAnswer) -> None:
    [snli] = intermediate_sizes(xnli)
    assert snli.name == "snli"
    assert list(snli.arms) == [0.25, 1.0]
    gains = {arm.intermediate_fraction: arm.gain for arm in xnli.arms if arm.intermediate == "snli"}
    assert {size: arm.gain for size, arm in snli.arms.items()} == gains
    assert target_sizes([xnli]) == []


def table(rows: list[RunRow]) -> pd.DataFrame:
    frame: pd.DataFrame = to_table("runs", rows).to_pandas()
    return frame


def test_what_sharing_and_stopping_save() -> None:
    runs = table(
        [
            run_row("i", kind="intermediate", target=None, intermediate="a", seconds=100.0, device_share=0.5),
            run_row("c1", intermediate="a", parent_stage="i", seconds=10.0),
            run_row("c2", intermediate="a", parent_stage="i", seconds=20.0),
            run_row("c3", seconds=5.0),
            run_row("c4", status="failed", parent_stage="i", seconds=1.0),
            run_row("c5", status="stopped", rung=0.25, steps_done=10, steps_planned=40, parent_stage="i", seconds=8.0),
            run_row("c6", status="stopped", rung=0.5, steps_done=5, seconds=2.0),
            run_row("c6", attempt=2, seconds=3.0),
            run_row("c7", status="paused", rung=0.5, steps_done=5, seconds=4.0),
        ]
    )
    found = spent(runs)
    assert found.total == 50 + 10 + 20 + 5 + 1 + 8 + 2 + 3 + 4
    assert found.alone == 10 + 20 + 5 + (2 + 3) + 2 * 50
    assert found.shared == 10 + 20 + 5 + (2 + 3) + 50
    assert found.stopped_saves == 8 * 3


def test_costs_of_a_folder(results: Results) -> None:
    found = spent(results.runs(all_attempts=True))
    # Fifteen cells a target twice, three of the hostile arm, each 2 s; one stopped after 4 s, one failed after 2 s.
    assert found.total == 30 * 2 + 3 * 2 + 4 + 2
    assert found.alone == found.shared == 33 * 2
    assert found.stopped_saves == 4


def test_the_page_is_the_folders(tmp_path: Path) -> None:
    """Two folders with the same rows have the same hash, one with another row has not."""
    from raystilts.report.html.provenance import runs_hash

    rows = [run_row("a"), run_row("b")]
    assert runs_hash(table(rows)) == runs_hash(table(rows[::-1]))
    assert runs_hash(table(rows)) != runs_hash(table([*rows, run_row("c")]))


def test_decisions_in_words(tmp_path: Path, xnli: TargetAnswer) -> None:
    row = DecisionRow(
        study="s", target="xnli", target_fraction=1.0, rule="asha", round=1, parameters="{}", share=0.5,
        arms_kept='["none", "squad"]', arms_dropped='["<i>", "snli"]',
        scores='{"none": 0.4, "squad": 0.512, "<i>": 0.25, "snli": null}', inputs_hash="h", decided_at=START,
    )  # fmt: skip
    write_decision(tmp_path, row)
    write_decision(tmp_path, replace(row, rule="race", round=2, share=None, arms_dropped="[]", scores="{}"))
    write_decision(tmp_path, replace(row, target="other"))
    found = decisions_part(Results(tmp_path).decisions(), xnli)
    assert found is not None
    assert found.count("<li>") == 2
    assert (
        "asha, round 1, at 1/2 of training: &lt;i&gt; (25.0) and snli (–) stopped; 2 arms went on, the best at 51.2."
    ) in found
    assert "race, round 2: none stopped; 2 arms went on." in found
    assert decisions_part(Results(tmp_path).decisions(), replace(xnli, target="third")) is None
