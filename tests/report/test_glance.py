"""What the page says at its top, its paragraph on methods, gains over distances, and figures for papers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results.examples import write_results
from typer.testing import CliRunner

from raystilts.cli.common import app
from raystilts.report.html.distances import distances_part, places_of, shown_arm
from raystilts.report.html.gather import ReportData, gather
from raystilts.report.html.glance import glance, state
from raystilts.report.html.methods import methods
from raystilts.report.html.page import page
from raystilts.results.results import Results

from .pages import Tree, write_everything


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    return gather(Results(write_everything(tmp_path_factory.mktemp("results"))))


def test_every_target_has_a_row_that_says_whether_it_is_decided(data: ReportData) -> None:
    shown = Tree(glance(data))
    assert not shown.problems
    rows = shown.table("Every target")
    assert list(rows) == [answer.label for answer in data.answers]
    for answer in data.answers:
        row = rows[answer.label]
        assert row["state"] == state(answer)
        if state(answer) == "decided":
            assert row["left"] == "1"
            assert row["arm to take"] == answer.best[0]
    decided = sum(state(answer) == "decided" for answer in data.answers)
    assert shown.text.startswith(f"Of 2 targets {decided} {'is' if decided == 1 else 'are'} decided (one arm")


def test_a_target_that_is_not_learnt_names_no_arm(tmp_path: Path) -> None:
    [answer] = Results(write_results(tmp_path)).answers()
    assert answer.choice is not None
    lost = replace(answer, choice=replace(answer.choice, learnt=False))
    assert (state(answer), state(lost)) == ("decided", "not learnt")
    alone = replace(answer, arms=tuple(arm for arm in answer.arms if arm.intermediate == "none"))
    assert state(alone) == "too little"


def test_methods_hold_the_numbers_of_the_study(data: ReportData) -> None:
    assert "intervals over seeds and test items. A set" in methods(data)
    given = [replace(answer, gains=replace(answer.gains, items=None)) for answer in data.answers if answer.gains]
    said = methods(replace(data, answers=given))
    assert "4 intermediate tasks" in said
    assert "2 target tasks (udpos and xnli)" in said
    assert "zero-shot" in said
    assert "test items are taken as given" in said
    assert methods(replace(data, study=None)) != said
    few = [replace(answer, gains=replace(answer.gains, items=np.zeros(9))) for answer in data.answers if answer.gains]
    assert "intervals over seeds and test items. A set" in methods(replace(data, answers=few))
    some = methods(replace(data, answers=[few[0], given[1]]))
    assert f"intervals over seeds, on {few[0].label} also over test items. A set" in some
    assert "Methods" in page(data)


def test_gains_stand_over_the_distances_that_are_known(data: ReportData) -> None:
    [answer] = [one for one in data.answers if one.target == "xnli"]
    arm = shown_arm(answer)
    assert arm is not None
    assert arm.intermediate == "squad", "mnli trains on the target's own data"
    known = replace(data, distances={"de": 0.4, "en": 0.0})
    places = places_of(known, answer, arm)
    assert [(place.language, place.distance) for place in places] == [("en", 0.0), ("de", 0.4)]
    assert distances_part(known) is None, "two languages are no chart"
    assert distances_part(replace(data, distances={})) is None


def test_figures_for_papers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = write_results(tmp_path / "results")
    done = CliRunner().invoke(
        app, ["report", str(folder), "-o", str(tmp_path / "r.html"), "--figures", str(tmp_path / "figures")]
    )
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["arms_xnli.pdf", "arms_xnli.svg", "matrix.pdf", "matrix.svg"]
    assert (tmp_path / "figures" / "arms_xnli.pdf").read_bytes().startswith(b"%PDF")
    assert "mnli" in (tmp_path / "figures" / "arms_xnli.svg").read_text(encoding="utf-8")
    wrong = CliRunner().invoke(app, ["report", str(folder), "-o", str(tmp_path / "r.html"), "--figures", "/no/where"])
    assert wrong.exit_code != 0
