"""Files as people have them: each gives the same rows as the plain table that says the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.delimited import _title
from raystilts.importing.table import Imported
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]
#: none and mnli on rte and boolq.
_EXPECTED = {("none", "rte"): 0.557, ("none", "boolq"): 0.704, ("mnli", "rte"): 0.66, ("mnli", "boolq"): 0.712}


def _cells(frame: Any) -> dict[tuple[str, str], float]:
    return {(row.intermediate, row.target): round(row.value, 6) for row in frame.itertuples()}


_WIDE = {
    "arms by targets": "arm,rte,boolq\nnone,55.7,70.4\nmnli,66,71.2\n",
    "corner without a name": ",rte,boolq\nnone,55.7,70.4\nmnli,66,71.2\n",
    "targets by arms": "task,none,mnli\nrte,55.7,66\nboolq,70.4,71.2\n",
    "targets by arms without a name": ",none,mnli\nrte,55.7,66\nboolq,70.4,71.2\n",
    "corner with both names": "source \\ target,rte,boolq\nnone,55.7,70.4\nmnli,66,71.2\n",
    "corner the other way": "target \\ source,none,mnli\nrte,55.7,66\nboolq,70.4,71.2\n",
    "a model column": "model,rte,boolq\nnone,55.7,70.4\nmnli,66,71.2\n",
    "averages beside": "arm,rte,boolq,Avg\nnone,55.7,70.4,63.05\nmnli,66,71.2,68.6\nmean,60.85,70.8,65.8\n",
    "percent signs": "arm,rte,boolq\nnone,55.7%,70.4%\nmnli,66%,71.2%\n",
    "semicolons and decimal commas": "arm;rte;boolq\nnone;55,7;70,4\nmnli;66;71,2\n",
    "tabs": "arm\trte\tboolq\nnone\t55.7\t70.4\nmnli\t66\t71.2\n",
    "byte order mark": "\ufeffarm,rte,boolq\nnone,55.7,70.4\nmnli,66,71.2\n",
    "comment and empty lines": "# from the paper\n\narm,rte,boolq\nnone,55.7,70.4\n\nmnli,66,71.2\n",
    "spaces and bars": "arm | rte | boolq\nnone | 55.7 | 70.4\nmnli | 66 | 71.2\n",
    "bold and asterisks": "arm,rte,boolq\nnone,55.7*,70.4\nmnli,**66**,\\textbf{71.2}\n",
    "a column a metric": "arm,rte_acc,boolq_acc\nnone,55.7,70.4\nmnli,66,71.2\n",
    "target/metric": "arm,rte/accuracy,boolq/accuracy\nnone,.557,.704\nmnli,.66,.712\n",
    "mean and spread without n": "arm,rte,boolq\nnone,55.7 ± 0.5,70.4 +/- 1\nmnli,66 (0.3),71.2±1.0\n",
}


@pytest.mark.parametrize("name", _WIDE)
def test_wide_matrices(load: Import, scores: Scores, name: str) -> None:
    load(_WIDE[name])
    assert _cells(scores()) == _EXPECTED


def test_languages_across(load: Import, scores: Scores) -> None:
    load("intermediate,target,seed,en,de,zh\nnone,xnli,1,80,70,65\nmnli,xnli,1,81,72,66\n")
    frame = scores().query("intermediate == 'mnli'")
    assert dict(zip(frame["language"], frame["value"], strict=True)) == {"de": 0.72, "en": 0.81, "zh": 0.66}
    assert set(frame["target"]) == {"xnli"}


def test_languages_across_need_a_target(load: Import) -> None:
    with pytest.raises(UserError, match=r"no column for target; it has: .*--set target=VALUE"):
        load("arm,en,de\nnone,80,70\n")


def test_languages_across_with_a_target_said(load: Import, scores: Scores) -> None:
    load("arm,en,de\nnone,80,70\nmnli,81,72\n", constants={"target": "xnli"})
    assert scores()[["intermediate", "language"]].values.tolist() == [
        ["mnli", "de"], ["mnli", "en"], ["none", "de"], ["none", "en"]
    ]  # fmt: skip


def test_seeds_across(load: Import, scores: Scores) -> None:
    load("intermediate,target,seed 1,seed 2,seed 3\nnone,rte,60,61,62\nmnli,rte,70,71,\n")
    assert scores().query("intermediate == 'none'")[["seed", "value"]].values.tolist() == [
        [1, 0.6],
        [2, 0.61],
        [3, 0.62],
    ]
    assert len(scores()) == 5


def test_metrics_across_leave_out_what_is_no_score(load: Import, scores: Scores) -> None:
    done = load("intermediate,target,seed,eval_loss,eval_f1,eval_accuracy,eval_runtime\nnone,rte,1,0.9,.5,.6,12.1\n"
                "mnli,rte,1,0.2,.6,.7,13.5\n")  # fmt: skip
    assert set(scores()["metric"]) == {"f1", "accuracy"}
    assert any(said.startswith("left out (lower is better): loss") for said in done.said)
    assert any(said.startswith("left out (no score): runtime") for said in done.said)
    assert set(scores().query("is_main")["metric"]) == {"accuracy"}


def test_unknown_across_is_told(load: Import, scores: Scores) -> None:
    load("arm,1,2\nnone,60,61\nmnli,70,71\n", across="target")
    assert set(scores()["target"]) == {"1", "2"}
    with pytest.raises(UserError, match=r"--across targets: no such thing; did you mean 'target'"):
        load("arm,rte,boolq\nnone,60,61\n", across="targets")


def test_two_lines_of_header(load: Import, scores: Scores) -> None:
    load(",rte,,boolq,\narm,1,2,1,2\nnone,55,56,70,71\nmnli,66,67,71,72\n")
    frame = scores()
    assert len(frame) == 8
    assert frame.query("intermediate == 'mnli' and target == 'rte'")[["seed", "value"]].values.tolist() == [
        [1, 0.66],
        [2, 0.67],
    ]


def test_two_lines_of_header_with_mean_and_std(load: Import, scores: Scores) -> None:
    done = load(",rte,rte,boolq,boolq\narm,mean,std,mean,std\nnone,55.7,1.0,70.4,0.5\nmnli,66,0.9,71.2,0.4\n",
                constants={"runs": "5"})  # fmt: skip
    assert any("ranked from these summary statistics" in said for said in done.said)
    found: Any = scores().groupby(["intermediate", "target"])["value"].agg(["mean", "std", "count"]).round(6)
    assert found.loc[("mnli", "rte")].tolist() == [0.66, 0.009, 5]
    assert found.loc[("none", "boolq")].tolist() == [0.704, 0.005, 5]


@pytest.mark.parametrize(
    "text",
    [
        "intermediate,target,mean,std,n\nnone,rte,55.7,1.2,3\nmnli,rte,66,0.8,3\nqqp,rte,56,1,3\n",
        "arm,rte_mean,rte_std,rte_n\nnone,55.7,1.2,3\nmnli,66,0.8,3\nqqp,56,1,3\n",
        "intermediate,target,n,value\nnone,rte,3,55.7 ± 1.2\nmnli,rte,3,66 ± 0.8\nqqp,rte,3,56 ± 1\n",
        "intermediate,target,mean,stderr,n\nnone,rte,55.7,0.6928203,3\nmnli,rte,66,0.4618802,3\nqqp,rte,56,.5773503,3\n",
    ],
)
def test_summary_statistics_rank(load: Import, scores: Scores, tmp_path: Path, text: str) -> None:
    done = load(text)
    assert any("ranked from these summary statistics" in said for said in done.said)
    found: Any = scores().groupby("intermediate")["value"].agg(["mean", "std", "count"]).round(6)
    assert found.loc["mnli"].tolist() == [0.66, 0.008, 3]
    best: Any = Results(tmp_path / "out").best().set_index("intermediate")
    assert best.loc["mnli", "p_best"] > 0.9
    assert best.loc["mnli", "gain"] == pytest.approx(0.103, abs=0.005)
    assert Results(tmp_path / "out").runs()["source"].str.contains("drawn from mean and standard deviation").all()


def test_a_spread_without_a_number_of_runs_is_said(load: Import) -> None:
    done = load("arm,rte\nnone,55.7 ± 0.5\nmnli,66 ± 1\n")
    assert any("--set runs=N" in said for said in done.said)


_MISSING = ["", "#N/A", "--", "-", "n/a", "nan", "NULL", "—"]


@pytest.mark.parametrize("cell", _MISSING)
def test_empty_cells_are_missing_not_failed(load: Import, scores: Scores, tmp_path: Path, cell: str) -> None:
    done = load(f"arm,rte,boolq\nnone,55.7,70.4\nmnli,66,{cell}\n")
    assert (done.runs, done.failed, len(scores())) == (3, 0, 3)
    assert any("1 cells without a value left out: missing" in said for said in done.said)
    assert not Results(tmp_path / "out").best(target="boolq")["failed"].any()


def test_min_nan_is_a_language(load: Import, scores: Scores) -> None:
    """Its code is how many readers of CSV write a missing value."""
    load("intermediate,target,language,accuracy\nnone,rte,deu,55\nnone,rte,nan,51\nmnli,rte,nan,61\n")
    assert scores().query("language == 'nan'")["value"].tolist() == [0.61, 0.51]


def test_excel_sheets_are_seeds(load: Import, scores: Scores, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as writer:
        for seed in (1, 2):
            frame = pd.DataFrame({"arm": ["none", "mnli"], "rte": [50 + seed, 60 + seed], "boolq": [70.0, None]})
            frame.to_excel(writer, sheet_name=f"seed {seed}", index=False)
    load(tmp_path / "t.xlsx")
    frame = scores()
    assert frame.query("target == 'rte'")[["intermediate", "seed", "value"]].values.tolist() == [
        ["mnli", 1, 0.61], ["mnli", 2, 0.62], ["none", 1, 0.51], ["none", 2, 0.52]
    ]  # fmt: skip
    assert len(frame) == 6


def test_parquet_with_a_multiindex(load: Import, scores: Scores, tmp_path: Path) -> None:
    index = pd.MultiIndex.from_product([["none", "mnli"], [1, 2]], names=["intermediate", "seed"])
    pd.DataFrame({"rte": [55, 56, 66, 67], "boolq": [70, 71, 72, 73]}, index=index).to_parquet(
        tmp_path / "rows.parquet"
    )
    load(tmp_path / "rows.parquet")
    assert scores().query("target == 'rte'")["value"].tolist() == [0.66, 0.67, 0.55, 0.56]


def test_parquet_with_multiindex_columns(load: Import, scores: Scores, tmp_path: Path) -> None:
    columns = pd.MultiIndex.from_product([["rte", "boolq"], ["accuracy", "f1"]], names=["task", "metric"])
    frame = pd.DataFrame(
        [[55, 50, 70, 60], [66, 60, 72, 61]], index=pd.Index(["none", "mnli"], name="arm"), columns=columns
    )
    frame.to_parquet(tmp_path / "wide.parquet")
    load(tmp_path / "wide.parquet")
    assert scores().query("intermediate == 'mnli'")[["target", "metric", "value"]].values.tolist() == [
        ["boolq", "accuracy", 0.72], ["boolq", "f1", 0.61], ["rte", "accuracy", 0.66], ["rte", "f1", 0.6]
    ]  # fmt: skip


_RECORDS = [{"intermediate": arm, "target": target, "value": value} for (arm, target), value in _EXPECTED.items()]
_NESTED: dict[str, dict[str, float]] = {}
for (_arm, _target), _value in _EXPECTED.items():
    _NESTED.setdefault(_arm, {})[_target] = _value
_FRAME = pd.DataFrame(_RECORDS)
_JSON = {
    "records": json.dumps(_RECORDS),
    "objects in objects": json.dumps(_NESTED),
    "columns of pandas": _FRAME.to_json(),
    "split of pandas": _FRAME.to_json(orient="split"),
    "table of pandas": _FRAME.to_json(orient="table"),
    "lists": json.dumps(_FRAME.to_dict(orient="list")),
    "lines": "\n".join(json.dumps(record) for record in _RECORDS),
}


@pytest.mark.parametrize("name", _JSON)
def test_json(load: Import, scores: Scores, name: str) -> None:
    load(_JSON[name], "t.json")
    assert _cells(scores()) == _EXPECTED


def test_json_lines(load: Import, scores: Scores) -> None:
    load(_JSON["lines"], "t.jsonl")
    assert _cells(scores()) == _EXPECTED


def test_seeds_at_the_end_of_nested_json(load: Import, scores: Scores) -> None:
    load(json.dumps({"none": {"rte": [0.5, 0.51]}, "mnli": {"rte": [0.6, 0.61]}}), "t.json")
    assert scores()[["intermediate", "seed", "value"]].values.tolist() == [
        ["mnli", 0, 0.6], ["mnli", 1, 0.61], ["none", 0, 0.5], ["none", 1, 0.51]
    ]  # fmt: skip


def test_a_table_as_a_sweep_exports_it(load: Import, scores: Scores) -> None:
    """Weights & Biases, "Export as CSV" of a table of runs."""
    load('"Name","State","Created","Runtime","intermediate","target","seed","lr","eval/accuracy","eval/loss"\n'
         '"a","finished","2024","61","none","rte","1","2e-5","0.55","0.7"\n'
         '"b","finished","2024","60","mnli","rte","1","2e-5","0.66","0.5"\n'
         '"c","crashed","2024","6","mnli","rte","2","2e-5","",""\n')  # fmt: skip
    assert scores()[["intermediate", "seed", "metric", "split", "value"]].values.tolist() == [
        ["mnli", 1, "accuracy", "test", 0.66], ["none", 1, "accuracy", "test", 0.55]
    ]  # fmt: skip


def test_a_table_of_mlflow(load: Import, scores: Scores) -> None:
    """``mlflow experiments csv`` and ``search_runs().to_csv()``."""
    load("run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.accuracy,metrics.loss,params.intermediate,"
         "params.target,params.seed,tags.mlflow.runName\n"
         "ab,1,FINISHED,x,1,2,0.55,0.7,none,rte,1,n\ncd,1,FINISHED,x,1,2,0.66,0.6,mnli,rte,1,m\n"
         "ef,1,FAILED,x,1,2,,,mnli,rte,2,m\n")  # fmt: skip
    assert scores()[["intermediate", "seed", "metric", "value"]].values.tolist() == [
        ["mnli", 1, "accuracy", 0.66], ["none", 1, "accuracy", 0.55]
    ]  # fmt: skip


def test_settings_in_a_cell(load: Import, scores: Scores) -> None:
    """Weights & Biases, the table of its public API: a cell holds all settings."""
    frame = pd.DataFrame({
        "summary": [str({"accuracy": 0.55, "_step": 3}), str({"accuracy": 0.66, "_step": 3})],
        "config": [str({"intermediate": "none", "target": "rte", "seed": 1}),
                   str({"intermediate": "mnli", "target": "rte", "seed": 1})],
        "name": ["a", "b"],
    })  # fmt: skip
    load(frame.to_csv())
    assert scores()[["intermediate", "seed", "value"]].values.tolist() == [["mnli", 1, 0.66], ["none", 1, 0.55]]


def test_set_fills_what_is_empty(load: Import, scores: Scores) -> None:
    load(
        "intermediate,target,language,value\nnone,xnli,,60\nmnli,xnli,de,70\n",
        constants={"language": "en", "seed": "3"},
    )
    assert scores()[["intermediate", "language", "seed"]].values.tolist() == [["mnli", "de", 3], ["none", "en", 3]]


def test_fraction_0_is_none(load: Import, scores: Scores) -> None:
    done = load("intermediate,fraction,target,value\nmnli,0,rte,60\nmnli,0.5,rte,65\nmnli,1,rte,70\n")
    assert scores()[["intermediate", "value"]].values.tolist() == [["mnli", 0.65], ["mnli", 0.7], ["none", 0.6]]
    assert any("fraction 0" in said for said in done.said)


def test_baseline_with_fraction_0_of_another_name(load: Import, scores: Scores) -> None:
    load("intermediate,fraction,target,value\nvanilla,0,rte,60\nmnli,1,rte,70\n", baseline="vanilla")
    assert scores()["intermediate"].tolist() == ["mnli", "none"]


def test_first_and_average_of_rows_that_differ_in_a_column_nobody_named(load: Import, scores: Scores) -> None:
    text = "intermediate,target,seed,prompt,value\nnone,rte,1,a,60\nnone,rte,1,b,62\nmnli,rte,1,a,70\nmnli,rte,1,b,74\n"
    with pytest.raises(UserError, match=r"they differ in prompt.*--repeats first, or --repeats average"):
        load(text)
    load(text, repeats="first")
    assert scores()["value"].tolist() == [0.7, 0.6]
    load(text, repeats="average")
    assert scores()["value"].tolist() == [0.72, 0.61]


def test_repeats_that_agree_by_chance_are_kept(load: Import, scores: Scores) -> None:
    load("intermediate,target,value\n" + "".join(f"none,rte,{v}\n" for v in (60, 60, 61)) +
         "".join(f"mnli,rte,{v}\n" for v in (70, 70, 70)))  # fmt: skip
    assert scores()["intermediate"].value_counts().to_dict() == {"none": 3, "mnli": 3}


def test_seeds_that_are_names(load: Import, scores: Scores, tmp_path: Path) -> None:
    load("intermediate,target,seed,value\nnone,rte,run_3,60\nnone,rte,run_12,61\nmnli,rte,run_3,70\n")
    assert scores()["seed"].tolist() == [3, 3, 12]


def test_published_matrices_rank(published: Path, load: Import, tmp_path: Path) -> None:
    load(published / "phang2020_dev_recalled.csv")
    results = Results(tmp_path / "out")
    frame = pd.read_csv(published / "phang2020_dev_recalled.csv", keep_default_na=False)
    gain = frame[(frame["intermediate"] == "MNLI") & (frame["target"] == "XNLI")]["value"].iloc[0]
    assert gain != 0
    matrix = results.matrix("gain").query("intermediate == 'MNLI' and target == 'XNLI' and language == 'macro'")
    np.testing.assert_allclose(matrix["gain"], gain / 100, atol=1e-9)
    assert not (results.matrix()["target"] == "Avg").any()


def test_languages_of_training_and_of_test(load: Import, scores: Scores, tmp_path: Path) -> None:
    """A matrix of languages by languages, with the numbers of rows that pandas writes."""
    rows = "0,pos,en,en,96.4\n1,pos,en,nl,89.9\n2,pos,nl,en,88.1\n3,pos,nl,nl,95.2\n"
    load(",task_name,lang_train,lang_pred,score\n" + rows, baseline="en")
    frame = scores()[["intermediate", "target", "language", "value"]].round(6)
    assert frame.sort_values(["intermediate", "language"]).values.tolist() == [
        ["nl", "pos", "en", 0.881], ["nl", "pos", "nl", 0.952],
        ["none", "pos", "en", 0.964], ["none", "pos", "nl", 0.899],
    ]  # fmt: skip


def test_no_language_in_every_run_is_told(load: Import, tmp_path: Path) -> None:
    load("intermediate,target,seed,language,value\nnone,ner,1,bam,60\nnone,ner,2,zul,61\nmnli,ner,1,bam,70\n")
    results = Results(tmp_path / "out")
    with pytest.warns(ResultsWarning), pytest.raises(
        UserError, match=r"ner: no language is in every run.*; name one: --language bam \(there are bam, zul\)"
    ):  # fmt: skip
        results.answers()
    assert [answer.target for answer in results.answers(language="bam")] == ["ner"]


@pytest.mark.parametrize(
    "text",
    [
        "Table 3,,,\nintermediate,target,seed,value\nnone,rte,1,60\nmnli,rte,1,70\n",
        "Table 3: Scores, by seed\n\nintermediate,target,seed,value\nnone,rte,1,60\nmnli,rte,1,70\n",
        "# a comment\nTable 3\nT5 small\nintermediate;target;seed;value\nnone;rte;1;60,0\nmnli;rte;1;70,0\n",
        "Table 3,,\nscores,,\narm,rte,\nnone,60,\nmnli,70,\n",
        ",Target\narm,rte\nnone,60\nmnli,70\n",
    ],
)
def test_a_title_above_the_header_is_left_out_and_named(load: Import, scores: Scores, text: str) -> None:
    said = load(text).said
    assert [one for one in said if one.startswith("above the header and left out: ")]
    assert scores()[["intermediate", "target", "value"]].values.tolist() == [["mnli", "rte", 0.7], ["none", "rte", 0.6]]


@pytest.mark.parametrize(
    "text",
    [
        "target,value\nnone,rte,60\nmnli,rte,70\n",  # so R names columns, and no rows
        "intermediate,target,value\nnone,rte,60\nmnli,rte,70\n",
        ",rte\nnone,60\nmnli,70\n",
    ],
)
def test_a_header_is_no_title(text: str) -> None:
    assert _title(text, 0, (",", ";")) == ([], 0)


def test_merged_cells_of_excel_hold_their_value_everywhere(load: Import, scores: Scores, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["Transfer"], [], ["arm", "rte", None, "copa", None], [None, 1, 2, 1, 2], ["none", 60.5, 50, 60, 61],
                ["mnli", 70, 55, 61, 62]):  # fmt: skip
        sheet.append(row)
    for place in ("A1:E1", "A3:A4", "B3:C3", "D3:E3"):
        sheet.merge_cells(place)
    book.save(tmp_path / "t.xlsx")
    assert "above the header and left out: Transfer" in load(tmp_path / "t.xlsx").said
    frame = scores()
    assert frame.groupby(["target", "intermediate"])["value"].max().to_dict() == {
        ("copa", "mnli"): 0.62, ("copa", "none"): 0.61, ("rte", "mnli"): 0.7, ("rte", "none"): 0.605,
    }  # fmt: skip
    assert sorted(frame["seed"].unique()) == [1, 2]


def test_an_arm_merged_over_its_rows_is_not_taken_for_the_baseline(
    load: Import, scores: Scores, tmp_path: Path
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["intermediate", "target", "seed", "acc"], ["mnli", "rte", 1, 60.5], [None, "copa", 1, 50.5]):
        book.active.append(row)
    book.active.merge_cells("A2:A3")
    book.save(tmp_path / "t.xlsx")
    load(tmp_path / "t.xlsx")
    assert set(scores()["intermediate"]) == {"mnli"}


LATEX = r"""
\begin{table}\caption{Scores}
\begin{tabular}{l|cc@{\hskip 1em}c} % 3 targets
\toprule
 & \multicolumn{3}{c}{\textbf{Target task}} \\ \cmidrule(lr){2-4}
Intermediate & RTE & COPA & BoolQ \\
\midrule
none & 60.0 & 55.0 & -- \\
MNLI~\citep{williams} & \textbf{70.0} & $60.0$ & 77\% \\[2pt]
\rowcolor{gray} Social\_IQa & \underline{65.0} & 66 & 70 \\
\bottomrule
\end{tabular}\end{table}
"""


def test_a_table_of_latex(load: Import, scores: Scores) -> None:
    load(LATEX, "paper.tex")
    assert scores().groupby(["intermediate", "target"])["value"].max().to_dict() == {
        ("MNLI", "BoolQ"): 0.77, ("MNLI", "COPA"): 0.6, ("MNLI", "RTE"): 0.7, ("Social_IQa", "BoolQ"): 0.7,
        ("Social_IQa", "COPA"): 0.66, ("Social_IQa", "RTE"): 0.65, ("none", "COPA"): 0.55, ("none", "RTE"): 0.6,
    }  # fmt: skip


def test_latex_rows_under_one_name_and_spreads(load: Import, scores: Scores) -> None:
    rows = (
        r"\multirow{2}{*}{none} & RTE & 60.0$_{\pm 1.0}$ \\ & COPA & 50.0 $\pm$ 2.0 \\ \hline",
        r"\multirow{2}{*}{MNLI} & RTE & 70.0$_{\pm 1.0}$ \\ & COPA & 51.0 $\pm$ 2.0 \\",
    )
    text = "\n".join([r"\begin{tabular}{llc}", r"Intermediate & Target & Accuracy \\ \hline", *rows, r"\end{tabular}"])
    load(text, "t.tex", constants={"runs": "3"})
    assert scores().groupby(["intermediate", "target"])["value"].mean().round(6).to_dict() == {
        ("MNLI", "COPA"): 0.51, ("MNLI", "RTE"): 0.7, ("none", "COPA"): 0.5, ("none", "RTE"): 0.6,
    }  # fmt: skip


def test_a_file_of_several_latex_tables_is_refused(load: Import) -> None:
    with pytest.raises(UserError, match="it holds 2 tables; keep one"):
        load(LATEX + LATEX, "paper.tex")
