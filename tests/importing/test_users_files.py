"""Files as users and their tools write them, in shapes that were once misread without a word."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.kinds import is_summary
from raystilts.importing.table import Imported

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]


def _rows(frame: pd.DataFrame, *names: str) -> list[list[object]]:
    return frame[[*names, "value"]].round(6).values.tolist()


@pytest.mark.parametrize(
    ("header", "split"),
    [("test_acc_de,test_acc_en", "test"), ("acc_de,acc_en", "test"), ("de_acc,en_acc", "test"),
     ("eval/acc/de,eval/acc/en", "test")],
)  # fmt: skip
def test_languages_in_names_of_metrics(load: Import, scores: Scores, header: str, split: str) -> None:
    load(f"arm,task,seed,{header}\nnone,xnli,1,70,80\nmnli,xnli,1,72,81\n")
    frame = scores()
    assert _rows(frame, "intermediate", "target", "language", "metric") == [
        ["mnli", "xnli", "de", "acc", 0.72], ["mnli", "xnli", "en", "acc", 0.81],
        ["none", "xnli", "de", "acc", 0.7], ["none", "xnli", "en", "acc", 0.8],
    ]  # fmt: skip
    assert set(frame["split"]) == {split}


def test_targets_languages_and_metrics_in_names(load: Import, scores: Scores) -> None:
    """As trackers name what several tasks report."""
    load("arm,seed,eval/xnli_de/accuracy,eval/xnli_en/accuracy,eval/pawsx_de/accuracy\nnone,1,70,80,60\nmnli,1,72,81,61\n")
    assert _rows(scores().query("intermediate == 'mnli'"), "target", "language", "metric") == [
        ["pawsx", "de", "accuracy", 0.61], ["xnli", "de", "accuracy", 0.72], ["xnli", "en", "accuracy", 0.81]
    ]  # fmt: skip


def test_errors_by_language_are_turned_over(load: Import, scores: Scores) -> None:
    load("arm,wer_de,wer_fr\nnone,30,40\nmnli,20,35\n", constants={"target": "asr"})
    assert _rows(scores(), "intermediate", "language", "metric") == [
        ["mnli", "de", "1-wer", 0.8], ["mnli", "fr", "1-wer", 0.65],
        ["none", "de", "1-wer", 0.7], ["none", "fr", "1-wer", 0.6],
    ]  # fmt: skip


def test_settings_beside_targets_are_no_targets(load: Import, scores: Scores) -> None:
    done = load("arm,lr,epochs,batch_size,n_train,rte,boolq\nnone,2e-5,3,32,2490,55,70\nmnli,2e-5,3,32,2490,60,72\n")
    assert sorted(set(scores()["target"])) == ["boolq", "rte"]
    assert any("columns not used: lr, epochs, batch_size, n_train" in said for said in done.said)


def test_scores_of_crashed_runs_are_no_scores(load: Import, scores: Scores) -> None:
    """A tracker's export has the last score before a run crashed."""
    text = ("Name,State,config.intermediate,config.target,config.seed,eval/accuracy\n"
            "a,finished,none,rte,1,0.55\nb,finished,mnli,rte,1,0.66\nc,crashed,mnli,rte,2,0.3\n")  # fmt: skip
    done = load(text)
    assert scores()["value"].tolist() == [0.66, 0.55]
    assert (done.runs, done.failed) == (3, 1)
    assert any("1 scores of failed runs left out" in said for said in done.said)
    load(text, columns={"status": ""})
    assert scores()["value"].tolist() == [0.66, 0.3, 0.55]


@pytest.mark.parametrize("state", ["running", "RUNNING", "preempted", "TrialState.PRUNED", "PAUSED"])
def test_scores_of_runs_that_have_not_ended_are_no_scores(load: Import, scores: Scores, state: str) -> None:
    """They have not failed either: their run is not there yet."""
    done = load("Name,State,config.intermediate,config.target,config.seed,eval/accuracy\n"
                f"a,finished,none,rte,1,0.55\nb,finished,mnli,rte,1,0.66\nc,{state},mnli,rte,2,0.3\n")  # fmt: skip
    assert scores()["value"].tolist() == [0.66, 0.55]
    assert (done.runs, done.failed) == (2, 0)
    word = state.lower().rpartition(".")[2]
    assert any(f"1 scores of runs that have not ended ({word}) left out" in said for said in done.said)


def test_which_of_a_runs_values_is_no_target(load: Import, scores: Scores) -> None:
    load("arm,target,best_acc_de,best_acc_fr,final_acc_de,final_acc_fr\nnone,x,70,71,68,69\nmnli,x,75,76,72,73\n")
    assert set(scores()["target"]) == {"x"}
    assert _rows(scores().query("intermediate == 'mnli'"), "language", "metric") == [
        ["de", "best_acc", 0.75], ["de", "final_acc", 0.72], ["fr", "best_acc", 0.76], ["fr", "final_acc", 0.73],
    ]  # fmt: skip


def _grouped() -> pd.DataFrame:
    return pd.DataFrame({"arm": ["none", "none", "mnli", "mnli"], "task": ["rte"] * 4, "seed": [1, 2, 1, 2],
                         "acc": [0.5, 0.6, 0.7, 0.8]})  # fmt: skip


def test_several_lines_of_header_as_pandas_writes_them(load: Import, scores: Scores) -> None:
    """The names of the index stand in a line of their own below the header."""
    load(_grouped().pivot_table(index="arm", columns=["task", "seed"], values="acc").to_csv())
    frame = scores()
    assert _rows(frame, "intermediate", "target", "seed") == [
        ["mnli", "rte", 1, 0.7], ["mnli", "rte", 2, 0.8], ["none", "rte", 1, 0.5], ["none", "rte", 2, 0.6]
    ]  # fmt: skip
    assert set(frame["hyperparameters"]) == {"{}"}


def test_three_levels_as_pandas_writes_them(load: Import, scores: Scores) -> None:
    levels = [["xnli", "pawsx"], ["accuracy"], ["de", "en"]]
    columns = pd.MultiIndex.from_product(levels, names=["task", "metric", "lang"])
    index = pd.Index(["none", "mnli"], name="arm")
    load(pd.DataFrame([[55, 50, 70, 60], [66, 60, 72, 61]], index=index, columns=columns).to_csv())
    assert _rows(scores().query("intermediate == 'mnli'"), "target", "language", "metric") == [
        ["pawsx", "de", "accuracy", 0.72], ["pawsx", "en", "accuracy", 0.61],
        ["xnli", "de", "accuracy", 0.66], ["xnli", "en", "accuracy", 0.6],
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["agg", "describe", "wide"])
def test_means_and_spreads_as_pandas_writes_them(load: Import, scores: Scores, how: str) -> None:
    groups = _grouped().groupby(["arm", "task"])["acc"]
    if how == "agg":
        text = groups.agg(["mean", "std", "count"]).to_csv()
    elif how == "describe":
        text = groups.describe().to_csv()
    else:
        wide: Any = groups.agg(["mean", "std", "count"]).unstack("task")
        text = wide.swaplevel(axis=1).to_csv()
    load(text)
    found: Any = scores().groupby("intermediate")["value"].agg(["mean", "std", "count"]).round(6)
    assert found.loc["mnli"].tolist() == [0.75, 0.070711, 2]


@pytest.mark.parametrize(
    "text",
    [
        "intermediate,target,stat,value\nnone,rte,mean,.55\nnone,rte,std,.01\nmnli,rte,mean,.66\nmnli,rte,std,.02\n",
        "intermediate,target,metric,value\nnone,rte,acc_mean,.55\nnone,rte,acc_std,.01\nmnli,rte,acc_mean,.66\n"
        "mnli,rte,acc_std,.02\n",
        "intermediate,target,metric,value\nnone,rte,acc,.55\nnone,rte,acc_std,.01\nmnli,rte,acc,.66\n"
        "mnli,rte,acc_std,.02\n",
    ],
)
def test_spreads_in_rows_are_no_scores(load: Import, scores: Scores, text: str) -> None:
    load(text, constants={"runs": "3"})
    found: Any = scores().groupby("intermediate")["value"].agg(["mean", "std", "count"]).round(6)
    assert found.loc["mnli"].tolist() == [0.66, 0.02, 3]


def test_a_language_may_have_the_code_of_a_spread(load: Import, scores: Scores) -> None:
    """`sd` is Sindhi."""
    done = load("arm,task,metric,value\nnone,ner,acc_de,55\nnone,ner,acc_sd,44\nmnli,ner,acc_de,66\n"
                "mnli,ner,acc_sd,50\n")  # fmt: skip
    assert done.scores == 4
    assert _rows(scores(), "intermediate", "metric") == [
        ["mnli", "acc_de", 0.66], ["mnli", "acc_sd", 0.5], ["none", "acc_de", 0.55], ["none", "acc_sd", 0.44]
    ]  # fmt: skip


def test_a_spread_is_one_of_a_value_in_the_same_cell(load: Import, scores: Scores) -> None:
    done = load("arm,task,metric,value\nnone,rte,acc,60\nmnli,rte,acc,70\nnone,ner,acc_de,55\nnone,ner,acc_sd,44\n"
                "mnli,ner,acc_de,66\nmnli,ner,acc_sd,50\n")  # fmt: skip
    assert done.scores == len(scores()) == 6


def test_names_of_systems_may_end_like_a_spread(load: Import) -> None:
    with pytest.raises(UserError, match="they differ in system"):
        load("intermediate,target,seed,system,value\nnone,rte,1,model,55\nnone,rte,1,model se,44\n"
             "mnli,rte,1,model,66\nmnli,rte,1,model se,50\n")  # fmt: skip


def test_splits_in_names_of_metrics_are_no_targets(load: Import, scores: Scores) -> None:
    text = "intermediate,seed,dev_acc_de,test_acc_de,dev_acc_fr,test_acc_fr\nnone,1,70,71,60,61\nmnli,1,72,73,62,63\n"
    with pytest.raises(UserError, match="the table has no column for target"):
        load(text)
    load(text, constants={"target": "xnli"})
    assert _rows(scores().query("intermediate == 'mnli'"), "target", "language", "split", "metric") == [
        ["xnli", "de", "dev", "acc", 0.72], ["xnli", "fr", "dev", "acc", 0.62],
        ["xnli", "de", "test", "acc", 0.73], ["xnli", "fr", "test", "acc", 0.63],
    ]  # fmt: skip


def test_names_of_files_beside_levels_of_json(load: Import, scores: Scores, tmp_path: Path) -> None:
    for arm, value in (("none", 60), ("mnli", 70)):
        path = tmp_path / "runs" / f"{arm}_s1.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'{{"rte": {{"acc": 0.{value}}}, "boolq": {{"acc": 0.7}}}}')
    load(tmp_path / "runs", path="{intermediate}_s{seed}")
    assert _rows(scores(), "intermediate", "target", "seed", "metric") == [
        ["mnli", "boolq", 1, "acc", 0.7], ["mnli", "rte", 1, "acc", 0.7],
        ["none", "boolq", 1, "acc", 0.7], ["none", "rte", 1, "acc", 0.6],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "summary"),
    [("Avg", True), ("Avg_without_retrieval", True), ("XTREME avg", True), ("average_precision", False),
     ("rte", False), ("mean_reversal", False)],
)  # fmt: skip
def test_names_of_averages(name: str, summary: bool) -> None:
    assert is_summary(name) is summary


def test_averages_by_the_name_of_their_metric(load: Import, scores: Scores) -> None:
    """Left out beside the metrics of their own target; a target with no other metric stays, and it is said."""
    rows = ["none,rte,acc,60", "mnli,rte,acc,70", "none,rte,mean,61", "mnli,rte,mean,71", "none,sts,mean,50",
            "mnli,sts,mean,55", "none,qa,loss,.5", "mnli,qa,loss,.4", "none,qa,avg,50", "mnli,qa,avg,55"]  # fmt: skip
    done = load("\n".join(["system,target,metric,value", *rows, ""]))
    found = scores()[["target", "metric"]].drop_duplicates().values.tolist()
    assert [one for one in found if one[1] != "loss"] == [["qa", "avg"], ["rte", "acc"], ["sts", "mean"]]
    assert "2 averages left out: metric mean (--metric mean keeps them)" in done.said
    assert "no metric but mean, avg for target qa, sts: kept (--where leaves rows out)" in done.said


def test_averages_that_are_asked_for_are_kept(load: Import, scores: Scores) -> None:
    load("arm,task,metric,value\nnone,rte,acc,60\nnone,rte,mean,61\n", metrics=["mean"])
    assert sorted(set(scores()["metric"])) == ["acc", "mean"]


def test_arms_may_be_made_by_averaging(load: Import, scores: Scores) -> None:
    arms = ["none", "mnli-avg", "avg_checkpoints", "avg_pool_bert", "mnli-average"]
    rows = "".join(f"{arm},rte,6{i}\n{arm},XTREME avg,7{i}\n" for i, arm in enumerate(arms))
    load("arm,task,acc\n" + rows + "Average,rte,62\n")
    assert set(scores()["intermediate"]) == set(arms)
    assert set(scores()["target"]) == {"rte"}


def test_what_leaves_rows_of_a_wide_table_out_names_its_own_column(load: Import) -> None:
    with pytest.raises(UserError, match=r"value 'high' in column 'rte' is no number.*--where 'rte!=high'"):
        load("arm,rte,boolq\nnone,55,70\nmnli,high,72\nqqp,50,71\n")


def test_a_task_is_named_once_in_a_printed_table(load: Import, scores: Scores) -> None:
    """As lm-evaluation-harness prints its results, and as they stand in many a README."""
    load("| Task |Version| Metric |Value|   |Stderr|\n|------|------:|--------|----:|---|-----:|\n"
         "|arc   |      0|acc     |23.46|±  |  1.24|\n|      |       |acc_norm|27.39|±  |  1.30|\n"
         "|boolq |      1|acc     |61.44|±  |  0.85|\n", "results.md", constants={"intermediate": "none"})  # fmt: skip
    assert _rows(scores(), "target", "metric") == [
        ["arc", "acc", 0.2346], ["arc", "acc_norm", 0.2739], ["boolq", "acc", 0.6144]
    ]  # fmt: skip


def test_a_matrix_of_languages_by_their_codes_of_three_letters(load: Import, scores: Scores) -> None:
    """A published matrix of trained by tested languages has codes of two and of three letters mixed."""
    load(",amh,ara,zul,bbj\namh,60,21,35,35\nara,20,70,17,15\n", constants={"target": "ner"}, baseline="amh")
    assert _rows(scores(), "intermediate", "language") == [
        ["ara", "amh", 0.2], ["ara", "ara", 0.7], ["ara", "bbj", 0.15], ["ara", "zul", 0.17],
        ["none", "amh", 0.6], ["none", "ara", 0.21], ["none", "bbj", 0.35], ["none", "zul", 0.35],
    ]  # fmt: skip


def test_what_answers_leave_out_is_a_note_and_names_few_targets(tmp_path: Path) -> None:
    """As a user sees it: no line of code, and one line for all targets after the first three."""
    rows = [f"{arm},t{n},1,{language},60" for n in range(6) for arm, language in (("none", "de"), ("mnli", "fr"))]
    (tmp_path / "t.csv").write_text("\n".join(["intermediate,target,seed,language,value", *rows]) + "\n")
    program = [sys.executable, "-c", "from raystilts.cli import script; script()"]
    subprocess.run([*program, "import", "t.csv", "-o", "out"], cwd=tmp_path, check=True, capture_output=True)
    found = subprocess.run([*program, "best", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    said = found.stderr.splitlines()
    assert found.returncode == 2
    assert [line.partition(" ")[0] for line in said] == ["note:"] * 4 + ["raystilts:"]
    assert said[3] == "note: So it is with the macro mean of 3 more targets."
