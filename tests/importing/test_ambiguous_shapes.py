"""Tables that used to be read as something else without a word; every right value is checked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd
import pytest

from .conftest import Import

Scores = Callable[[], pd.DataFrame]

DECIMAL = {"rte": {"none": 0.601, "mnli": 0.61, "qnli": 0.624}, "cola": {"none": 0.502, "mnli": 0.517, "qnli": 0.526}}


def arms(scores: Scores) -> dict[str, dict[str, float]]:
    """The mean of each arm by target."""
    means = scores().groupby(["target", "intermediate"], as_index=False)["value"].mean()
    found: dict[str, dict[str, float]] = {}
    for target, arm, value in means.itertuples(index=False):
        found.setdefault(target.lower(), {})[arm.lower()] = round(value, 6)
    return found


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("spread", ["", " ± 0,5"])
@pytest.mark.parametrize("title", ["", "Table 3: all results (accuracy, %)\n", "Ergebnisse\n"])
def test_decimal_commas_in_every_cell(load: Import, scores: Scores, separator: str, spread: str, title: str) -> None:
    rows = [["arm", "RTE", "CoLA"]]
    for arm in ("none", "mnli", "qnli"):
        cells = [f"{100 * DECIMAL[target][arm]:.1f}".replace(".", ",") for target in ("rte", "cola")]
        rows.append([arm, *(cell + spread for cell in cells)])
    load(title + "".join(separator.join(row) + "\n" for row in rows))
    assert arms(scores) == DECIMAL


MARKDOWN = "| Intermediate | RTE | CoLA |\n|---|:---:|---|\n| none | 60.1 | **50.2** |\n| mnli | 61 | 51 |\n"


@pytest.mark.parametrize(
    "text", [MARKDOWN, f"# Results\n\nIn percent | so far.\n\n{MARKDOWN}", f"{MARKDOWN}\nBelow it.\n"]
)
def test_markdown_among_prose(load: Import, scores: Scores, text: str) -> None:
    load(text)
    assert arms(scores) == {"rte": {"none": 0.601, "mnli": 0.61}, "cola": {"none": 0.502, "mnli": 0.51}}


def test_two_tables_of_markdown_are_refused(load: Import) -> None:
    with pytest.raises(Exception, match="2 tables of Markdown; put each into a file of its own"):
        load(f"{MARKDOWN}\n{MARKDOWN}")


def test_an_average_beside_two_lines_of_header(load: Import, scores: Scores) -> None:
    done = load(",xnli,,xquad,,Avg\n,de,sw,de,el,\nnone,60,50,40,30,45\nmnli,61,51,41,31,46\n")
    found = scores().set_index(["target", "language", "intermediate"])["value"]
    assert len(found) == 8
    assert found["xnli", "sw", "mnli"] == pytest.approx(0.51)
    assert found["xquad", "el", "none"] == pytest.approx(0.30)
    assert "averages left out: Avg" in done.said


def test_a_table_that_pandas_has_pivoted(load: Import, scores: Scores) -> None:
    load("target,rte,rte,cola,cola\nintermediate,none,mnli,none,mnli\nseed,,,,\n1,60,61,50,51\n2,62,63,52,53\n")
    assert arms(scores) == {"rte": {"none": 0.61, "mnli": 0.62}, "cola": {"none": 0.51, "mnli": 0.52}}
    assert set(scores()["seed"]) == {1, 2}


def test_the_baseline_tells_the_sides_of_nested_json(load: Import, scores: Scores) -> None:
    load(json.dumps({"rte": {"none": 0.6, "mnli": 0.5}, "cola": {"none": 0.61, "mnli": 0.57}}), name="nested.json")
    assert arms(scores) == {"rte": {"none": 0.6, "mnli": 0.5}, "cola": {"none": 0.61, "mnli": 0.57}}


@pytest.mark.parametrize("mean", ["mean", "Mean", "avg", "Average"])
def test_a_mean_beside_languages(load: Import, scores: Scores, mean: str) -> None:
    load(f"intermediate,target,seed,en,de,{mean}\nnone,x,1,60,50,55\nmnli,x,1,61,51,56\n")
    assert set(scores()["language"]) == {"en", "de"}
    assert arms(scores) == {"x": {"none": 0.55, "mnli": 0.56}}


@pytest.mark.parametrize("mean", ["mean", "avg", "Average"])
def test_a_mean_and_its_spread_beside_runs(load: Import, scores: Scores, mean: str) -> None:
    done = load(f"intermediate,target,run1,run2,{mean},std\nnone,x,60,62,61,1\nmnli,x,63,65,64,1\n")
    assert set(scores()["seed"]) == {1, 2}
    assert arms(scores) == {"x": {"none": 0.61, "mnli": 0.64}}
    assert f"of the runs beside them, and left out: {mean}, std" in done.said


def test_a_mean_beside_targets(load: Import, scores: Scores) -> None:
    load("intermediate,RTE,CoLA,Mean\nnone,60,50,55\nmnli,62,51,56.5\n")
    assert arms(scores) == {"rte": {"none": 0.6, "mnli": 0.62}, "cola": {"none": 0.5, "mnli": 0.51}}


def test_a_mean_that_is_all_there_is(load: Import, scores: Scores) -> None:
    load("intermediate,target,mean\nnone,x,60\nmnli,x,61\n")
    assert arms(scores) == {"x": {"none": 0.6, "mnli": 0.61}}


@pytest.mark.parametrize("name", ["lr", "learning_rate", "num_train_epochs", "Batch size"])
def test_a_setting_beside_a_metric_makes_no_repeats(load: Import, name: str) -> None:
    table = f"intermediate,target,{name},accuracy\nnone,rte,1,60\nnone,rte,2,64\nmnli,rte,1,62\nmnli,rte,2,66\n"
    done = load(table)
    assert any(f"--column hyperparameters={name}" in line for line in done.said)
