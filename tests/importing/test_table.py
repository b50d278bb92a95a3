from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.table import Imported, Options, import_table
from raystilts.results.results import Results


def _csv(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _import(tmp_path: Path, text: str, **options: object) -> tuple[Imported, Results]:
    done = import_table(_csv(tmp_path, text), tmp_path / "out", Options(**options))  # type: ignore[arg-type]
    return done, Results(tmp_path / "out")


_PLAIN = """intermediate,target,seed,metric,value
none,rte,1,accuracy,60
none,rte,2,accuracy,62
mnli,rte,1,accuracy,70
mnli,rte,2,accuracy,71
qqp,rte,1,accuracy,61
qqp,rte,2,accuracy,64
"""


def test_every_question_works_on_a_plain_table(tmp_path: Path) -> None:
    done, results = _import(tmp_path, _PLAIN)
    assert (done.runs, done.new, done.scores, done.failed) == (6, 6, 6, 0)
    gains = results.matrix("gain")
    macro = gains[gains["language"] == "macro"]
    assert macro["gain"].round(6).tolist() == [0.1, 0.09, 0.01, 0.02]
    best = results.best()
    assert best["intermediate"].tolist()[0] == "mnli"
    assert best["seeds"].tolist() == [2, 2, 2]
    assert best["p_best"].sum() == pytest.approx(1.0)
    runs = results.runs()
    assert runs["source"].str.startswith("table.csv, sha256 ").all()
    assert "accuracy: scores in percent (the largest tells)" in done.said


def test_again_changes_nothing(tmp_path: Path) -> None:
    _import(tmp_path, _PLAIN)
    files = sorted((tmp_path / "out").rglob("*"))
    done, results = _import(tmp_path, _PLAIN)
    assert (done.runs, done.new, done.equal) == (6, 0, 6)
    assert sorted((tmp_path / "out").rglob("*")) == files
    assert len(results.runs()) == 6


def test_without_none_there_are_no_gains(tmp_path: Path) -> None:
    rows = [line for line in _PLAIN.splitlines() if not line.startswith("none")]
    done, results = _import(tmp_path, "\n".join(rows))
    assert any("no runs without an intermediate task" in sentence for sentence in done.said)
    best = results.best()
    best = best[best["seeds"] > 0]
    assert best["gain"].isna().all()
    assert best["p_best"].sum() == pytest.approx(1.0)
    assert best["expected_regret"].notna().all()
    assert best["in_best_set"].any()


@pytest.mark.parametrize("name", ["(none)", "None", "baseline", "no intermediate"])
def test_usual_names_of_the_baseline_are_guessed(tmp_path: Path, name: str) -> None:
    done, results = _import(tmp_path, _PLAIN.replace("none", name))
    assert f"intermediate {name!r} taken for none" in done.said
    assert set(results.runs()["intermediate"]) == {"none", "mnli", "qqp"}


def test_baseline_by_option_and_by_empty_cell(tmp_path: Path) -> None:
    _, results = _import(tmp_path, _PLAIN.replace("none", "scratch"), baseline="scratch")
    assert results.matrix("gain")["gain"].notna().all()
    (tmp_path / "empty").mkdir()
    _, results = _import(tmp_path / "empty", _PLAIN.replace("none,", ","))
    assert results.matrix("gain")["gain"].notna().all()
    with pytest.raises(UserError, match=r"--baseline scrach: no row.*did you mean 'scratch'"):
        _import(tmp_path, _PLAIN.replace("none", "scratch"), baseline="scrach")


def test_columns_by_guess_and_by_option(tmp_path: Path) -> None:
    text = _PLAIN.replace("intermediate,target,seed,metric,value", "source,what,random_seed,metric,score")
    done, results = _import(tmp_path, text, columns={"target": "what"})
    assert "column 'source' taken for intermediate" in done.said
    assert "column 'score' taken for value" in done.said
    assert len(results.matrix("gain")) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"targt": "x"}}, "no such thing as 'targt'; did you mean 'target'"),
        ({"columns": {"target": "targett"}}, "no column 'targett'; did you mean 'target'"),
        ({"metrics": ["acuracy"]}, "--metric acuracy: not in the table; did you mean 'accuracy'"),
        ({"where": [("traget", "x")]}, "no column 'traget'; did you mean 'target'"),
        ({"where": [("target", "rta")]}, "no row is left; did you mean 'rte'"),
        ({"constants": {"sed": "1"}}, "no such thing as 'sed'; did you mean 'seed'"),
        ({"differences": {"metric": "gain"}}, "no row has it; known: accuracy"),
        ({"scale": "fraction"}, "table.csv row 1: accuracy 60 is no score between 0 and 1"),
    ],
)
def test_wrong_options_say_what_is_there(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        _import(tmp_path, _PLAIN, **options)
    assert not (tmp_path / "out").exists()


def test_missing_column_lists_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no column for value; it has: intermediate, target, result_pct.*--column value="
    ):
        _import(tmp_path, "intermediate,target,result_pct\na,b,1\n")


def test_file_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        import_table(tmp_path / "none.csv", tmp_path / "out")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not readable as CSV, TSV"):
        import_table(tmp_path / "x.parquet", tmp_path / "out")
    with pytest.raises(UserError, match="no rows"):
        _import(tmp_path, "intermediate,target,value\n")
    for text in ("", "\n\n\n"):
        with pytest.raises(UserError, match="not readable as CSV, TSV"):
            _import(tmp_path, text)


def test_values_that_are_no_scores(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"row 2: accuracy -2 is no score.*--signed accuracy.*--difference COLUMN=VALUE"
    ):
        _import(tmp_path, _PLAIN.replace("none,rte,2,accuracy,62", "none,rte,2,accuracy,-2"))
    with pytest.raises(UserError, match="row 2: value 'high' in column 'value' is no number"):
        _import(tmp_path, _PLAIN.replace("none,rte,2,accuracy,62", "none,rte,2,accuracy,high"))
    done, _ = _import(tmp_path, _PLAIN.replace("accuracy", "pearson").replace("pearson,62", "pearson,-6"))
    assert done.runs == 6


def test_missing_value_is_missing_and_a_failed_run_is_told(tmp_path: Path) -> None:
    done, results = _import(tmp_path, _PLAIN.replace("accuracy,71", "accuracy,"))
    assert (done.failed, done.runs) == (0, 5)
    assert any(said.startswith("1 cells without a value left out") for said in done.said)
    (tmp_path / "told").mkdir()
    text = "\n".join(f"{line},{'state' if i == 0 else 'finished'}" for i, line in enumerate(_PLAIN.splitlines()))
    done, results = _import(tmp_path / "told", text.replace("accuracy,71,finished", "accuracy,,crashed"))
    assert (done.failed, done.runs) == (1, 6)
    best = results.best()
    assert best.set_index("intermediate")["failed"].to_dict() == {"mnli": 1, "none": 0, "qqp": 0}


def test_duplicates(tmp_path: Path) -> None:
    done, _ = _import(tmp_path, _PLAIN + "qqp,rte,2,accuracy,64\n")
    assert "1 duplicate rows left out" in done.said
    text = _PLAIN.replace("value\n", "value,lr\n").replace("\n", ",1\n").replace("lr,1\n", "lr\n")
    text += "qqp,rte,2,accuracy,66,2\n"
    with pytest.raises(
        UserError, match=r"row 6 and table.csv row 7 give different values.*qqp -> rte, seed 2.*differ in lr"
    ):
        _import(tmp_path, text)
    (tmp_path / "arms").mkdir()
    done, results = _import(tmp_path / "arms", text, columns={"hyperparameters": "lr"})
    assert done.runs == 7
    assert set(results.runs()["hyperparameters"]) == {'{"lr": "1"}', '{"lr": "2"}'}


def test_repeats_without_seeds_are_numbered(tmp_path: Path) -> None:
    text = "\n".join(",".join(line.split(",")[:2] + line.split(",")[3:]) for line in _PLAIN.splitlines())
    done, results = _import(tmp_path, text)
    assert any("up to 2 run(s) of a cell" in sentence for sentence in done.said)
    assert sorted(results.runs()["seed"].tolist()) == [0, 0, 0, 1, 1, 1]


def test_differences_are_added_to_the_baseline(tmp_path: Path) -> None:
    text = "intermediate,target,kind,value\n(none),xnli,value,80\nmnli,xnli,delta,1.5\nqqp,xnli,delta,-4.4\n"
    done, results = _import(tmp_path, text, differences={"kind": "delta"})
    assert results.matrix("gain")["gain"].round(6).tolist() == [0.015, 0.015, -0.044, -0.044]
    assert any("2 differences added" in sentence for sentence in done.said)
    with pytest.raises(UserError, match="no baseline of target pawsx"):
        _import(tmp_path, text + "qqp,pawsx,delta,1\n", differences={"kind": "delta"})


def test_languages_steps_and_splits(tmp_path: Path) -> None:
    lines = ["intermediate,target,seed,lang,split,step,value"]
    for arm, score in (("none", 0.5), ("mnli", 0.6)):
        for seed in (1, 2):
            for language, less in (("en", 0.0), ("de", 0.1)):
                for split in ("validation", "test"):
                    lines += [f"{arm},xnli,{seed},{language},{split},{step},{score - less - 0.1 * (step < 20)}"
                              for step in (10, 20)]  # fmt: skip
    _, results = _import(tmp_path, "\n".join(lines))
    matrix = results.matrix("gain", split="dev")
    assert sorted(set(matrix["language"])) == ["de", "en", "macro"]
    assert matrix["gain"].round(6).unique().tolist() == [0.1]
    curves = results.curves(target="xnli", language="de")
    assert sorted(set(curves["step"])) == [10, 20]
    assert sorted(set(curves["share"])) == [0.5, 1.0]
    assert results.best(language="de")["selection"].unique().tolist() == ["en_dev"]


def test_sizes_in_rows_become_shares(tmp_path: Path) -> None:
    lines = ["intermediate,target,seed,fraction,value", "none,a,1,,50"]
    lines += [f"{name},a,1,{size},60" for name, size in (("x", 100), ("x", 1000), ("y", 50))]
    done, results = _import(tmp_path, "\n".join(lines))
    arms = results.runs()[["intermediate", "intermediate_fraction"]].dropna()
    assert sorted(arms.values.tolist()) == [["x", 0.1], ["x", 1.0], ["y", 1.0]]
    assert any("numbers of rows" in sentence for sentence in done.said)


def test_several_metrics(tmp_path: Path) -> None:
    lines = ["intermediate,target,seed,metric,value"]
    for arm, score in (("none", 0.5), ("mnli", 0.7)):
        lines += [f"{arm},stsb,{s},{m},{score + 0.01 * s}" for s in (1, 2) for m in ("pearson", "spearmanr")]
    done, results = _import(tmp_path, "\n".join(lines))
    assert "stsb: judged by pearson, of pearson, spearmanr (--metric NAME says otherwise)" in done.said
    assert set(results.matrix()["metric"]) == {"pearson"}
    (tmp_path / "other").mkdir()
    _, results = _import(tmp_path / "other", "\n".join(lines), metrics=["spearmanr"])
    assert set(results.matrix()["metric"]) == {"spearmanr"}


def test_parquet(tmp_path: Path) -> None:
    frame = pd.read_csv(_csv(tmp_path, _PLAIN), keep_default_na=False)
    frame.to_parquet(tmp_path / "table.parquet")
    done = import_table(tmp_path / "table.parquet", tmp_path / "out")
    assert (done.runs, done.failed) == (6, 0)


def test_published_table(published: Path, tmp_path: Path) -> None:
    """Every mean of an imported table is the mean of its rows."""
    path = published / "taskweb_t5_small_runs.csv"
    import_table(path, tmp_path / "out", Options(where=[("target", "rte")]))
    frame = pd.read_csv(path)
    rte = frame[frame["target"] == "rte"].groupby("intermediate")["value"].mean() / 100
    best = Results(tmp_path / "out").best(target="rte").set_index("intermediate")
    found = best[best["seeds"] > 0]["mean"].astype(float)
    np.testing.assert_allclose(found.sort_index(), rte.sort_index())
