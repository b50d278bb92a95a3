"""Two arms never become one in silence: not by a baseline of another table, and not by a spelling."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.errors import UserError
from raystilts.filesystem import open_folder
from raystilts.importing.merging import refuse_two_values
from raystilts.importing.state import PART, SCHEMA, State, load_state
from raystilts.importing.table import Imported, concluded, read, understood
from raystilts.importing.table import Options as ImportOptions
from raystilts.results.baseline import read_baseline
from raystilts.results.reader import load_manifest
from raystilts.results.results import Results

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]
HEADER = "intermediate,target,seed,accuracy"


def rows(*arms: str) -> str:
    """A table: ``base rte 60 61`` is an arm, a target and the scores of seeds 1 and 2."""
    lines = [HEADER]
    for arm in arms:
        name, target, *values = arm.split()
        lines += [f"{name},{target},{seed},{value}" for seed, value in enumerate(values, 1)]
    return "\n".join(lines) + "\n"


BASE = rows("base rte 60 61", "mnli rte 70 71")
MNLI = rows("mnli cola 60 61", "squad cola 64 66")


def means(folder: Path) -> dict[str, dict[str, float]]:
    """Mean scores by target and arm."""
    frame = Results(folder / "out").matrix("score").query("language == 'macro'")
    found: dict[str, dict[str, float]] = {}
    for (target, arm), scores in frame.groupby(["target", "intermediate"])["score"]:
        found.setdefault(str(target), {})[str(arm)] = round(100 * float(scores.mean()), 6)
    return found


def state(folder: Path) -> State:
    there = open_folder(folder / "out")
    return load_state(there, load_manifest(there))


@pytest.mark.parametrize("order", [("c1.csv", "c2.csv"), ("c2.csv", "c1.csv")])
def test_an_arm_that_another_table_is_measured_against_stays_an_arm(
    load: Import, tmp_path: Path, order: tuple[str, str]
) -> None:
    files = {"c1.csv": (BASE, "base"), "c2.csv": (MNLI, "mnli")}
    for name in order:
        done = load(files[name][0], name, baseline=files[name][1])
    assert means(tmp_path) == {"rte": {"none": 60.5, "mnli": 70.5}, "cola": {"none": 60.5, "squad": 65.0}}
    assert "intermediate 'mnli', none in another table, stays an arm in c1.csv, beside another baseline" in done.said
    assert (done.new, done.runs) == (4, 8)


def test_so_it_is_with_seeds_of_their_own(load: Import, tmp_path: Path) -> None:
    """No two values of one run, and a mean of two arms all the same."""
    load(f"{HEADER}\nbase,rte,1,60\nbase,rte,2,61\nmnli,rte,3,70\nmnli,rte,4,71\n", "c1.csv", baseline="base")
    load(MNLI, "c2.csv", baseline="mnli")
    assert means(tmp_path)["rte"] == {"none": 60.5, "mnli": 70.5}


def test_so_it_is_with_a_table_that_has_none(load: Import, tmp_path: Path) -> None:
    load(rows("none rte 60 61", "mnli rte 70 71"), "c1.csv")
    load(MNLI, "c2.csv", baseline="mnli")
    load(rows("none sst2 90 91", "mnli sst2 92 93"), "c3.csv")
    found = means(tmp_path)
    assert (found["rte"], found["sst2"]) == ({"none": 60.5, "mnli": 70.5}, {"none": 90.5, "mnli": 92.5})


def test_so_it_is_with_a_file_for_each_arm(load: Import, tmp_path: Path) -> None:
    load(rows("base rte 60 61"), "base.csv", baseline="base")
    load(rows("mnli rte 70 71", "mnli sst2 80 81"), "mnli.csv")
    load(MNLI, "c2.csv", baseline="mnli")
    found = means(tmp_path)
    assert found["rte"] == {"none": 60.5, "mnli": 70.5}
    assert found["sst2"] == {"none": 80.5}  # nothing else is the baseline there, and this was told


def test_two_baselines_on_one_target_are_said(load: Import, tmp_path: Path) -> None:
    load(BASE.replace("mnli", "squad"), "a.csv", baseline="base")
    done = load(f"{HEADER}\nplain,rte,3,62\n", "b.csv", baseline="plain")
    assert "target rte: base and plain all stand for none: their runs are one arm" in done.said
    assert means(tmp_path)["rte"]["none"] == 61.0
    with pytest.raises(
        UserError, match=r"none -> rte, seed 1, .*: 0\.64 of other \(c\.csv row 1.*, but 0\.6 of base \(a\.csv row 1"
    ):
        load(f"{HEADER}\nother,rte,1,64\n", "c.csv", baseline="other")


def test_a_baseline_that_is_an_arm_of_the_same_target_is_refused(load: Import, scores: Scores, tmp_path: Path) -> None:
    load(BASE, "a.csv", baseline="base")
    before = scores()
    other = f"{HEADER}\nmnli,rte,3,72\nsquad,rte,3,75\n"
    with pytest.raises(
        UserError,
        match=r"rte: mnli is none in b\.csv \(--baseline mnli\), and an arm beside none in a\.csv \(--baseline base\)",
    ):
        load(other, "b.csv", baseline="mnli")
    pd.testing.assert_frame_equal(scores(), before)
    load(BASE, "a.csv")  # what the message says
    load(other, "b.csv", baseline="mnli")
    assert means(tmp_path)["rte"] == {"base": 60.5, "none": 71.0, "squad": 75.0}
    load(rows("none cola 60", "mnli cola 70"), "c.csv")
    with pytest.raises(UserError, match=r"beside none in c\.csv \(runs of none\)\. Import d\.csv without --baseline"):
        load(f"{HEADER}\nmnli,cola,2,71\n", "d.csv", baseline="mnli")


def test_arms_that_are_both_baselines_elsewhere_are_refused(load: Import, tmp_path: Path) -> None:
    load(rows("base cola 60", "squad cola 61"), "a.csv", baseline="base")
    load(rows("mnli sst2 60", "squad sst2 61"), "b.csv", baseline="mnli")
    both = f"{HEADER}\nbase,rte,1,60\nmnli,rte,2,70\n"
    with pytest.raises(UserError, match=r"base \(c\.csv row 1.*\) and mnli \(c\.csv row 2.*say .*--baseline base"):
        load(both, "c.csv")
    load(both, "c.csv", baseline="base")
    assert means(tmp_path)["rte"] == {"none": 60.0, "mnli": 70.0}


def test_open_tables_of_two_baselines_are_refused(load: Import, tmp_path: Path) -> None:
    load(f"{HEADER}\nbase,rte,1,60\nmnli,rte,2,70\n", "c.csv")
    load(rows("base cola 60", "squad cola 61"), "a.csv", baseline="base")
    with pytest.raises(UserError, match=r"rte: base \(c\.csv\) and mnli \(c\.csv\) stand for none.*c\.csv again"):
        load(rows("mnli sst2 60", "squad sst2 61"), "b.csv", baseline="mnli")
    assert means(tmp_path)["rte"] == {"none": 60.0, "mnli": 70.0}


def test_a_baseline_beside_runs_of_none_is_refused(load: Import) -> None:
    with pytest.raises(UserError, match=r"--baseline mnli: target rte has runs of none \(t\.csv row 1.*row 2"):
        load(f"{HEADER}\nnone,rte,1,60\nmnli,rte,2,70\n", "t.csv", baseline="mnli")


@pytest.mark.parametrize("again", ["mnli", None])
def test_a_corrected_baseline_takes_the_place_of_the_first(load: Import, tmp_path: Path, again: str | None) -> None:
    table = rows("qnli rte 60 61", "mnli rte 70 71")
    load(rows("qnli wnli 50 51"), "b0.csv")
    load(table, "b1.csv", baseline="qnli")
    assert means(tmp_path) == {"rte": {"none": 60.5, "mnli": 70.5}, "wnli": {"none": 50.5}}
    done = load(table, "b1.csv", baseline=again)
    assert "--baseline qnli, which an earlier import of this file gave, no longer holds for it" in done.said
    assert state(tmp_path).settings.baselines == (() if again is None else (again,))
    assert read_baseline(open_folder(tmp_path / "out")) == (again or "none")
    found = means(tmp_path)
    assert found["wnli"] == {"qnli": 50.5}  # of another file, which had been told so by this one
    assert found["rte"] == {"qnli": 60.5, "none" if again else "mnli": 70.5}
    load(rows("none cola 60 61", "mnli cola 70 71"), "b2.csv")
    assert means(tmp_path)["cola"] == {"none": 60.5, "mnli": 70.5}


def test_a_baseline_holds_while_another_file_gives_it(load: Import, tmp_path: Path) -> None:
    table = rows("qnli rte 60 61", "mnli rte 70 71")
    load(table, "b1.csv", baseline="qnli")
    load(rows("qnli cola 60", "mnli cola 61"), "b2.csv", baseline="qnli")
    load(table.replace("71", "72"), "b1.csv", replace=True)
    assert state(tmp_path).settings.baselines == ("qnli",)
    assert means(tmp_path)["rte"] == {"none": 60.5, "mnli": 71.0}


def test_a_size_goes_and_comes_back_with_the_name(load: Import, scores: Scores) -> None:
    header = "intermediate,intermediate_fraction,target,seed,accuracy\n"
    load(f"{header}plain,1,rte,1,60\nmnli,0.5,rte,1,70\n", "a.csv")
    told = f"{header}plain,1,cola,1,60\nmnli,1,cola,1,70\n"
    load(told, "b.csv", baseline="plain")
    found = scores().query("target == 'rte'")[["intermediate", "intermediate_fraction"]].fillna(-1).values.tolist()
    assert found == [["mnli", 0.5], ["none", -1]]
    load(told, "b.csv")
    found = scores().query("target == 'rte'")[["intermediate", "intermediate_fraction"]].values.tolist()
    assert found == [["mnli", 0.5], ["plain", 1.0]]


def test_spellings_of_one_run_with_two_values_are_refused(load: Import, scores: Scores) -> None:
    text = f"{HEADER}\nnone,rte,1,60\nMNLI,rte,1,70\nmnli,rte,1,66\n"
    with pytest.raises(UserError, match=r"row 2.* and t\.csv row 3.* \(0\.7, 0\.66\), mnli -> rte.*'MNLI' taken for"):
        load(text, "t.csv", same_name=True)
    load(text.replace("mnli,rte,1,66", "mnli,rte,1,70"), "t.csv", same_name=True)
    assert scores()["value"].tolist() == [0.7, 0.6]


def test_spellings_of_one_run_and_repeats(load: Import, scores: Scores) -> None:
    text = f"{HEADER}\nnone,rte,1,60\nMNLI,rte,1,70\nmnli,rte,1,66\n"
    load(text, same_name=True, repeats="average")
    assert scores()["value"].round(6).tolist() == [0.68, 0.6]


def test_spellings_without_seeds_are_repeats(load: Import, scores: Scores) -> None:
    load("intermediate,target,accuracy\nnone,rte,60\nMNLI,rte,70\nmnli,rte,66\n", same_name=True)
    assert scores()[["intermediate", "seed", "value"]].values.tolist() == [
        ["mnli", 0, 0.7], ["mnli", 1, 0.66], ["none", 0, 0.6]
    ]  # fmt: skip


def test_spellings_of_two_files_with_two_values_are_refused(load: Import, scores: Scores) -> None:
    load(f"{HEADER}\nnone,rte,1,60\nMNLI,rte,1,70\n", "a.csv")
    load(f"{HEADER}\nnone,rte,1,60\nmnli,rte,1,66\n", "b.csv")
    before = scores()
    third = f"{HEADER}\nnone,cola,1,60\n"
    with pytest.raises(
        UserError,
        match=r"mnli -> rte, seed 1, en, test accuracy: 0\.7 \(a\.csv row 2.*\) and 0\.66 \(b\.csv row 2.*--replace",
    ):
        load(third, "c.csv", same_name=True)
    pd.testing.assert_frame_equal(scores(), before)
    load(f"{HEADER}\nnone,rte,1,60\nmnli,rte,1,66\n", "b.csv", same_name=True, replace=True)  # what the message says
    load(third, "c.csv")
    assert scores().query("target == 'rte'")["value"].tolist() == [0.66, 0.6]


def test_spellings_of_what_options_name(load: Import, scores: Scores, tmp_path: Path) -> None:
    """The metric and the baseline are named as the table has them, and are what they became."""
    lines = [f"{arm},rte,{seed},{metric},{value}" for arm, value in (("Plain", 60), ("mnli", 70))
             for seed in (1, 2) for metric in ("F1", "em")]  # fmt: skip
    lines += ["plain,rte,3,f1,62", "plain,rte,3,em,62"]
    text = "\n".join(["intermediate,target,seed,metric,value", *lines]) + "\n"
    load(text, same_name=True, baseline="Plain", metrics=["F1"])
    assert set(scores().query("is_main")["metric"]) == {"f1"}
    assert means(tmp_path)["rte"]["none"] == pytest.approx(182 / 3, abs=1e-4)
    assert state(tmp_path).settings.baselines == ("plain",)


def test_values_that_are_equal_but_for_the_unit_are_one(load: Import, scores: Scores) -> None:
    load(f"{HEADER}\nnone,rte,1,57.3\nMNLI,rte,1,70\n", "a.csv")
    load(f"{HEADER}\nnone,rte,1,.573\nmnli,rte,1,.7\n", "b.csv", same_name=True)
    assert scores()["value"].tolist() == [0.7, 0.573]


def test_a_failed_run_and_a_score_are_two_values() -> None:
    text = dict.fromkeys(("encoder", "intermediate", "target", "hyperparameters", "split", "language", "metric"), "x")
    one = text | {"seed": 1, "step": 0, "examples": 0, "failed": False, "drawn": False, "source": "s", "place": ""}
    both = [one | {"value": 0.5, "file": "a", "row": 1}, one | {"value": None, "failed": True, "file": "b", "row": 2}]
    refuse_two_values(pa.Table.from_pylist(both[:1] * 2, SCHEMA))
    with pytest.raises(UserError, match=r"0\.5 \(a row 1\) and failed \(b row 2\)"):
        refuse_two_values(pa.Table.from_pylist(both, SCHEMA))


def test_explaining_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "c1.csv").write_text(BASE)
    options = ImportOptions(baseline="base")
    known = understood(read(tmp_path / "c1.csv", options), options)
    assert "intermediate 'base' taken for none" in concluded(tmp_path / "c1.csv", known, options)


def _as_an_older_version_wrote_it(folder: Path) -> None:
    """The state without the names of baselines, and without who gave them."""
    there = open_folder(folder / "out")
    name = f"compacted/{load_manifest(there).parts[PART][0]}"
    table = pq.ParquetFile(pa.BufferReader(there.read(name))).read()
    meta = json.loads(table.schema.metadata[b"raystilts_imports"])
    for source in meta["sources"].values():
        del source["baseline"]
    table = table.drop_columns(["baseline", "baseline_fraction"])
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"raystilts_imports": json.dumps(meta)}), sink)
    there.write(name, sink.getvalue(), overwrite=True)


def test_a_folder_of_an_older_version_is_gone_on_with(load: Import, tmp_path: Path) -> None:
    load(BASE, "c1.csv", baseline="base")
    _as_an_older_version_wrote_it(tmp_path)
    load(rows("base sst2 60", "squad sst2 70"), "c3.csv")
    load(MNLI, "c2.csv", baseline="mnli")
    assert state(tmp_path).settings.baselines == ("base", "mnli")
    found = means(tmp_path)
    assert (found["rte"], found["sst2"]) == ({"none": 60.5, "mnli": 70.5}, {"none": 60.0, "squad": 70.0})
    load(BASE, "c1.csv", baseline="base")
    assert set(state(tmp_path).settings.baselines) == {"base", "mnli"}
    assert means(tmp_path)["rte"] == {"none": 60.5, "mnli": 70.5}
