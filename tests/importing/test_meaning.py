"""Which way is better, percent or fractions, what --explain shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raystilts import cli
from raystilts.errors import UserError
from raystilts.importing.kinds import direction, kind_of, without_split
from raystilts.importing.numbers import to_numbers
from raystilts.importing.table import Imported

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]
_HEADER = "intermediate,target,seed,metric,value\n"


@pytest.mark.parametrize(
    ("name", "way"),
    [("eval_loss", "lower"), ("word_perplexity", "lower"), ("wer", "lower"), ("error_rate", "lower"), ("RMSE", "lower"),
     ("eval_runtime", "cost"), ("epoch", "cost"), ("train_samples_per_second", "cost"), ("accuracy", "higher"),
     ("exact_match", "higher"), ("ndcg_at_10", "higher"), ("error_correction_f1", "higher"), ("rte", None)],
)  # fmt: skip
def test_which_way_is_better(name: str, way: str | None) -> None:
    assert direction(name) == way


def test_loss_never_judges_and_errors_are_turned_over(load: Import, scores: Scores) -> None:
    rows = [f"{arm},rte,1,{metric},{value}" for arm, loss, error in (("none", 0.9, 0.3), ("mnli", 0.2, 0.1))
            for metric, value in (("eval_loss", loss), ("error_rate", error))]  # fmt: skip
    done = load(_HEADER + "\n".join(rows))
    frame = scores()
    assert set(frame["metric"]) == {"1-error_rate"}
    assert frame.set_index("intermediate")["value"].to_dict() == {"mnli": 0.9, "none": 0.7}
    assert any("left out (lower is better): loss" in said for said in done.said)


def test_only_losses_are_refused_by_name(load: Import) -> None:
    with pytest.raises(UserError, match=r"loss: lower is better.*--higher loss"):
        load(_HEADER + "none,rte,1,eval_loss,0.9\nmnli,rte,1,eval_loss,0.2\n")
    with pytest.raises(UserError, match=r"loss: lower is better"):
        load(_HEADER + "none,rte,1,eval_loss,0.9\nnone,rte,1,f1,0.2\n", metrics=["eval_loss"])


def test_the_user_knows_which_way_is_better(load: Import, scores: Scores) -> None:
    text = _HEADER + "none,rte,1,badness,30\nmnli,rte,1,badness,20\n"
    load(text, lower=["badness"])
    assert scores().set_index("intermediate")["value"].to_dict() == {"mnli": 0.8, "none": 0.7}
    with pytest.raises(UserError, match=r"--lower badnes: not in the table; did you mean 'badness'"):
        load(text, lower=["badnes"])


def test_one_rounded_up_is_still_one(load: Import, scores: Scores) -> None:
    load(_HEADER + "none,rte,1,accuracy,0.6\nmnli,rte,1,accuracy,1.0000001\n")
    assert scores()["value"].tolist() == [1.0, 0.6]


def test_scale_is_decided_by_target(load: Import, scores: Scores) -> None:
    done = load(
        _HEADER + "none,rte,1,accuracy,60\nmnli,rte,1,accuracy,70\nnone,cb,1,accuracy,0.5\nmnli,cb,1,accuracy,0.8\n"
    )
    assert scores().query("intermediate == 'mnli'")["value"].tolist() == [0.8, 0.7]
    assert any("accuracy of rte: scores in percent" in said for said in done.said)
    assert any("accuracy of cb: scores in fractions" in said for said in done.said)


def test_both_units_in_one_target_are_refused(load: Import, scores: Scores) -> None:
    text = _HEADER + "none,rte,1,accuracy,60\nmnli,rte,1,accuracy,0.7\nqqp,rte,1,accuracy,65\n"
    with pytest.raises(UserError, match=r"table.csv row 2: accuracy 0.7 of rte looks like a fraction among percents"):
        load(text)
    load(text, scale="percent")
    assert scores()["value"].min() == pytest.approx(0.007)


def test_correlations_may_be_negative_and_others_when_told(load: Import, scores: Scores) -> None:
    load(_HEADER + "none,stsb,1,pearson,-0.1\nmnli,stsb,1,pearson,0.9\n", "a.csv")
    text = _HEADER + "none,x,1,agreement,-0.2\nmnli,x,1,agreement,0.4\n"
    with pytest.raises(UserError, match=r"agreement -0.2 is no score.*--signed agreement"):
        load(text, "b.csv")
    load(text, "b.csv", signed=["agreement"])
    assert scores()["value"].min() == -0.2


def test_splits_in_the_names_of_metrics() -> None:
    assert without_split("eval_accuracy") == ("accuracy", "dev")
    assert without_split("f1_test") == ("f1", "test")
    assert without_split("accuracy") == ("accuracy", None)


@pytest.mark.parametrize(
    ("names", "kind"),
    [(["en", "de", "zh-CN"], "language"), (["seed 1", "seed 2"], "seed"), (["1", "2", "3"], "seed"),
     (["dev", "test"], "split"),
     (["accuracy", "f1"], "metric"), (["mean", "std"], "stat"), (["rte", "boolq"], None)],
)  # fmt: skip
def test_what_names_are(names: list[str], kind: str | None) -> None:
    assert kind_of(names) == kind


@given(st.floats(-100, 100).map(lambda value: round(value, 3)))
def test_numbers_as_people_write_them(value: float) -> None:
    texts = [f"{value}", f"{value}%", f"{value} ± 0.5", f"**{value}**", f"{value} (0.5)", str(value).replace(".", ",")]
    found = to_numbers(pd.Series(texts))
    assert found.values.tolist() == [value] * len(texts)
    assert not found.wrong.any()


def _call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["raystilts", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(
        "source,task,prompt,score\nnone,rte,a,60\nmnli,rte,a,70\nqqp,rte,b,65\nsst,rte,b,66\n"
    )
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--explain") == 0
    said = capsys.readouterr().out
    assert "'source' (texts: none, mnli, qqp): intermediate" in said
    assert "'prompt' (texts: a, b): not used" in said
    assert "1. intermediate=none, target=rte, language=en, split=test, metric=score, seed=0, step=0, value=0.6" in said
    assert "  3. intermediate=qqp" in said
    assert "  4. " not in said
    assert "--column seed=prompt" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


def test_explain_says_all_that_the_import_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{arm},{target},{seed},{seed}.{seed},full,{split},{metric},0.{6 + seed}"
            for arm in ("mnli", "MNLI") for target in ("rte", "qqp") for seed in (1, 2)
            for split in ("test", "extra") for metric in ("accuracy", "f1")]  # fmt: skip
    rows += [f"mnli,cb,{seed},0,full,dev,accuracy,0.5" for seed in (1, 2)]
    (tmp_path / "t.csv").write_text("\n".join(["source,task,seed,lr,adaptation,split,metric,value", *rows, ""]))
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out")) == 0
    done = capsys.readouterr().out
    said = [line.strip() for line in done.partition("scores read")[0].splitlines()[:-1]]
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--explain") == 0
    shown = capsys.readouterr().out
    concluded = shown.partition("concluded:\n")[2].partition("\n\n")[0]
    assert [line.strip() for line in concluded.splitlines()] == said
    for part in ("no runs without an intermediate task", "judged by accuracy, of accuracy, f1", "not ranked by"):
        assert part in concluded
    assert "--column hyperparameters=" in shown
    assert "--column target=" not in shown


def test_explain_refuses_what_the_import_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("source,task,split,score\nnone,rte,extra,60\nmnli,rte,extra,70\n")
    errors = []
    for more in (["--explain"], ["--out", str(tmp_path / "out")]):
        assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), *more) == 2
        errors.append(capsys.readouterr().err)
    assert errors[0] == errors[1]
    assert "no row is of split test or dev" in errors[0]


def test_explain_lists_all_columns_where_one_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"column_{i}" for i in range(30)]
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + ",".join(["x"] * 30) + "\n")
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--explain") == 2
    shown = capsys.readouterr()
    assert all(f"'{name}'" in shown.out for name in names)
    assert all(name in shown.err for name in names)


def test_out_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("intermediate,target,value\nnone,rte,60\n")
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv")) == 2
    assert "--out is missing" in capsys.readouterr().err
