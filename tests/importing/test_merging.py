"""A second import adds, keeps, refuses, replaces: score by score."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.table import Imported, Options, import_table
from raystilts.report.html.gather import gather
from raystilts.report.html.page import page
from raystilts.report.text import best_table
from raystilts.results.compaction import compact
from raystilts.results.finals import finals_table
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]


def _table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def _lang(shift: float) -> str:
    rows = [f"{arm},xnli,{seed},{value - shift + seed / 100:.3f}" for arm, value in (("none", 0.6), ("mnli", 0.7))
            for seed in (1, 2)]  # fmt: skip
    return _table("intermediate,target,seed,value", *rows)


def test_languages_of_two_files_stand_beside_each_other(load: Import, scores: Scores, tmp_path: Path) -> None:
    load(_lang(0.0), "en.csv", constants={"language": "en"})
    done = load(_lang(0.1), "de.csv", constants={"language": "de"})
    assert (done.new, done.runs) == (4, 4)
    assert scores().groupby("language")["value"].mean().round(4).to_dict() == {"de": 0.565, "en": 0.665}
    assert Results(tmp_path / "out").matrix("gain")["gain"].round(6).unique().tolist() == [0.1]


def test_metrics_of_two_files_stand_beside_each_other(load: Import, scores: Scores) -> None:
    load(_lang(0.0), "f1.csv", constants={"metric": "f1"})
    load(_lang(0.2), "em.csv", constants={"metric": "em"})
    assert scores()["metric"].value_counts().to_dict() == {"f1": 4, "em": 4}
    assert set(scores().query("is_main")["metric"]) == {"f1"}


@pytest.mark.parametrize("order", [("test", "dev"), ("dev", "test")])
def test_dev_never_becomes_test(load: Import, scores: Scores, tmp_path: Path, order: tuple[str, str]) -> None:
    texts = {
        "test": _table(
            "intermediate,target,seed,value", "none,rte,1,60", "none,rte,2,61", "mnli,rte,1,70", "mnli,rte,2,72"
        ),
        "dev": _table(
            "intermediate,target,seed,value", "none,rte,1,90", "none,rte,2,91", "mnli,rte,1,50", "mnli,rte,2,51"
        ),
    }
    for split in order:
        load(texts[split], f"{split}.csv", constants={"split": split})
    frame = scores()
    assert frame[frame["split"] == "test"].groupby("intermediate")["value"].max().to_dict() == {
        "mnli": 0.72,
        "none": 0.61,
    }
    assert frame[frame["split"] == "dev"].groupby("intermediate")["value"].max().to_dict() == {
        "mnli": 0.51,
        "none": 0.91,
    }
    matrix = Results(tmp_path / "out").matrix()
    assert matrix.groupby("intermediate")["score"].max().to_dict() == {"mnli": 0.72, "none": 0.61}


def test_dev_alone_stands_in_until_test_is_there(load: Import, scores: Scores, tmp_path: Path) -> None:
    done = load(_lang(0.0), "dev.csv", constants={"split": "dev"})
    assert any("no test scores of xnli" in sentence for sentence in done.said)
    assert set(scores()["split"]) == {"test"}
    [answer] = Results(tmp_path / "out").answers()
    assert " x 100 on dev, " in best_table(answer)
    assert {arm.split for arm in answer.arms} == {"dev"}
    assert [note for note in answer.notes if "same" in note] == [
        "no test data: chosen and scored on the same dev data, so P(best) is exploratory"
    ]
    shown = page(gather(Results(tmp_path / "out")))
    assert "gain on dev" in shown
    assert "scored on dev data in 1 language" in shown
    assert not [words for words in ("gain on test", "on test data", "test score", "On test:") if words in shown]
    load(_lang(0.1), "test.csv", constants={"split": "test"})
    [answer] = Results(tmp_path / "out").answers()
    assert " x 100 on test, " in best_table(answer)
    assert scores().groupby("split")["value"].max().round(3).to_dict() == {"dev": 0.72, "test": 0.62}


def test_a_file_a_seed(load: Import, scores: Scores) -> None:
    header = "intermediate,target,value"
    for seed, value in ((1, 60), (2, 61), (3, 62)):
        load(
            _table(header, f"none,rte,{value}", f"mnli,rte,{value + 5}"), f"s{seed}.csv", constants={"seed": str(seed)}
        )
    assert scores().query("intermediate == 'mnli'")["value"].tolist() == [0.65, 0.66, 0.67]


def test_what_differs_is_named_and_refused(load: Import, scores: Scores) -> None:
    header = "intermediate,target,value"
    load(_table(header, "none,rte,60", "mnli,rte,70"), "a.csv")
    before = scores()
    with pytest.raises(
        UserError,
        match=r"mnli -> rte, seed 0, en, test score: 0\.71 \(b.csv row 1\), but 0\.7 \(a.csv row 2\) is there\.",
    ):
        load(_table(header, "mnli,rte,71", "qqp,rte,65"), "b.csv")
    pd.testing.assert_frame_equal(scores(), before)
    done = load(_table(header, "mnli,rte,71", "qqp,rte,65"), "b.csv", replace=True)
    assert (done.new, done.replaced, done.gone) == (1, 1, 0)
    assert scores().set_index("intermediate")["value"].to_dict() == {"mnli": 0.71, "none": 0.6, "qqp": 0.65}


def test_what_is_equal_is_kept_in_either_unit(load: Import, scores: Scores) -> None:
    load("intermediate,target,value\nnone,rte,57.3\nmnli,rte,70\n", "percent.csv")
    done = load("intermediate,target,value\nnone,rte,.573\nmnli,rte,0.70\n", "fraction.csv")
    assert (done.new, done.equal, done.replaced) == (0, 2, 0)
    assert len(scores()) == 2


def test_rows_that_vanish_from_a_file_go_with_replace(load: Import, scores: Scores) -> None:
    header = "intermediate,target,seed,value"
    load(_table(header, "none,rte,1,60", "mnli,rte,1,70", "mnli,rte,2,71"), "a.csv")
    load(_table(header, "mnli,rte,2,71"), "b.csv")
    done = load(_table(header, "none,rte,1,60"), "a.csv")
    assert any("2 scores of an earlier version of this file are no longer in it: kept" in said for said in done.said)
    assert len(scores()) == 3
    done = load(_table(header, "none,rte,1,60"), "a.csv", replace=True)
    assert done.gone == 1  # the other stands in b.csv too
    assert scores()[["intermediate", "seed"]].values.tolist() == [["mnli", 2], ["none", 1]]


def test_corrected_options_take_effect(load: Import, scores: Scores) -> None:
    text = _table("intermediate,target,seed,metric,value", *(
        f"{arm},rte,1,{metric},{value}" for arm, value in (("plain", 0.5), ("mnli", 0.8)) for metric in ("f1", "em")
    ))  # fmt: skip
    load(text)
    assert set(scores().query("is_main")["metric"]) == {"f1"}
    load(text, metrics=["em"])
    assert set(scores().query("is_main")["metric"]) == {"em"}
    load(text, baseline="plain")
    assert set(scores()["intermediate"]) == {"none", "mnli"}
    assert set(scores().query("is_main")["metric"]) == {"em"}
    load(text, scale="percent")
    assert scores()["value"].max() == 0.008
    assert len(scores()) == 4


def test_baseline_told_once_holds_for_files_before_and_after(load: Import, scores: Scores) -> None:
    header = "intermediate,target,seed,value"
    load(_table(header, "plain,rte,1,60"), "a.csv")
    load(_table(header, "plain,rte,2,61", "mnli,rte,2,70"), "b.csv", baseline="plain")
    load(_table(header, "plain,rte,3,62"), "c.csv")
    assert scores()["intermediate"].tolist() == ["mnli", "none", "none", "none"]


def test_parts_of_a_file_stand_beside_each_other(load: Import, scores: Scores) -> None:
    text = "intermediate,target,split,value\nnone,rte,dev,61\nmnli,rte,dev,72\nnone,rte,test,60\nmnli,rte,test,70\n"
    load(text, where=[("split", "test")])
    load(text, where=[("split", "dev")])
    assert len(scores()) == 4


_FILES = {
    "a.csv": ("intermediate,target,seed,language,value\nnone,xnli,1,en,60\nmnli,xnli,1,en,70\nnone,xnli,2,en,61\n", {}),
    "b.csv": ("source;task;run;lang;score\nmnli;xnli;1;en;70,0\nmnli;xnli;2;en;71,5\n(none);xnli;2;en;61,0\n",
              {"columns": {"seed": "run"}}),
    "c.csv": ("intermediate,target,seed,value\nmnli,xnli,1,0.55\nnone,xnli,1,0.5\n", {"constants": {"language": "de"}}),
    "d.csv": ("intermediate,target,seed,language,split,metric,value\n"
              "mnli,xnli,1,en,dev,f1,81\nmnli,xnli,1,en,test,score,70\n",
              {}),
}  # fmt: skip


def test_all_orders_of_four_overlapping_files_give_equal_tables(tmp_path: Path) -> None:
    """Orders that begin with the same files go on from one folder: 64 imports instead of 96."""
    texts = {name: (tmp_path / name, Options(**options)) for name, (_, options) in _FILES.items()}  # type: ignore[arg-type]
    for name, (text, _) in _FILES.items():
        (tmp_path / name).write_text(text)

    def orders(folder: Path, left: frozenset[str]) -> Iterator[Path]:
        """A folder for each order in which the files that are left can follow what is in one."""
        if not left:
            yield folder
        for name in sorted(left):
            longer = folder.with_name(f"{folder.name} {name}")
            if folder.exists():
                shutil.copytree(folder, longer)
            import_table(texts[name][0], longer, texts[name][1])
            yield from orders(longer, left - {name})

    tables = []
    for folder in orders(tmp_path / "out", frozenset(texts)):
        results = Results(folder)
        runs = results.runs().drop(columns=["started_at", "ended_at"])
        tables.append((runs, results.scores(), results.matrix("gain")))
    assert len(tables) == 24
    for table in tables[1:]:
        for mine, first in zip(table, tables[0], strict=True):
            pd.testing.assert_frame_equal(mine, first)
    assert len(tables[0][1]) == 7
    assert tables[0][0]["source"].str.count("sha256").max() == 4


def test_imports_beside_a_study_leave_its_rows_alone(load: Import, tmp_path: Path) -> None:
    load(_lang(0.0), "a.csv")
    study = _a_study_row(tmp_path / "out")
    load(_lang(0.1), "b.csv", constants={"language": "de"})
    compact(tmp_path / "out")
    load(_lang(0.2), "c.csv", constants={"language": "fr"})
    runs = Results(tmp_path / "out").runs()
    assert runs[runs["study"] == "mine"]["stage"].tolist() == [study]
    assert len(runs) == 5
    assert len(Results(tmp_path / "out").scores(final=True)) == 13


def _a_study_row(folder: Path) -> str:
    """A run that a study has trained, with one score."""
    import dataclasses

    from raystilts.results.ledger import Ledger, write_attempt
    from raystilts.results.schema import ScoreRow

    row = dataclasses.replace(Ledger(folder).rows()[0], stage="own", study="mine", target="rte", attempt=1)
    score = ScoreRow(
        stage="own", attempt=1, study="mine", intermediate=row.intermediate, target="rte", seed=row.seed, kind="target",
        step=1, share=1.0, split="test", language="en", metric="accuracy", value=0.5, examples=1, is_main=True,
        is_final=True,
    )  # fmt: skip
    write_attempt(folder, row, [score])
    return "own"


def test_a_folder_of_the_version_before_is_gone_on_with(load: Import, scores: Scores, tmp_path: Path) -> None:
    """Its rows know no place; they are merged all the same."""
    load(_lang(0.0), "a.csv")
    manifest = max((tmp_path / "out" / "compacted").glob("manifest-*.json"))
    import json

    values = json.loads(manifest.read_text())
    del values["parts"]["imports"]
    manifest.write_text(json.dumps(values))
    done = load(_lang(0.0), "a.csv")
    assert (done.new, done.equal) == (0, 4)
    done = load(_lang(0.1), "b.csv", constants={"language": "de"})
    assert (done.new, len(scores())) == (4, 8)


def test_spellings_are_said_and_merged_when_asked(load: Import, scores: Scores) -> None:
    text = "intermediate,target,seed,value\nnone ,rte,1,60\nSQUAD,rte,1,70\nsquad,rte,2,71\nnone,rte,2,61\n"
    done = load(text)
    assert (
        "intermediate 'SQUAD' and 'squad' differ only in case or white space: two intermediates (--same-name: one)"
        in done.said
    )
    assert set(scores()["intermediate"]) == {"none", "SQUAD", "squad"}
    load(text, same_name=True)
    assert scores()[["intermediate", "seed"]].values.tolist() == [["none", 1], ["none", 2], ["squad", 1], ["squad", 2]]


def test_spellings_across_files(load: Import, scores: Scores) -> None:
    load("intermediate,target,seed,value\nMNLI,rte,1,60\n", "a.csv")
    done = load("intermediate,target,seed,value\nmnli,RTE,2,61\n", "b.csv")
    assert sum("differ only in case" in said for said in done.said) == 2
    load("intermediate,target,seed,value\nmnli,RTE,2,61\n", "b.csv", same_name=True)
    assert scores()[["intermediate", "target"]].drop_duplicates().values.tolist() == [["mnli", "rte"]]


@pytest.mark.parametrize("order", [0, 1])
def test_finals_of_imports_are_those_that_are_read_back(load: Import, tmp_path: Path, order: int) -> None:
    """What is derived while importing and what `finals_table` makes of the tables are two ways to the same rows."""
    with_fractions = (
        "intermediate,fraction,target,seed,language,split,metric,step,value\n"
        "none,,rte,1,en,test,acc,5,60\nnone,,rte,2,en,test,acc,5,61\nnone,,rte,1,de,test,acc,5,50\n"
        "none,,rte,2,de,test,acc,5,51\nmnli,0.5,rte,1,en,test,acc,5,70\nmnli,0.5,rte,1,de,test,acc,5,55\n"
        "mnli,1,rte,1,en,test,acc,4,71\nmnli,1,rte,1,en,test,acc,9,72\nmnli,1,rte,1,en,test,f1,9,73\n"
        "mnli,1,rte,1,de,test,acc,9,56\nmnli,1,rte,1,sw,test,acc,9,57\nmnli,1,rte,1,en,dev,acc,9,80\n"
    )
    without = "intermediate,target,seed,value\n" + "".join(
        f"{arm},{target},{seed},{50 + 7 * i + seed}\n"
        for i, arm in enumerate(("none", "squad", "mnli")) for target in ("xnli", "stsb") for seed in (1, 2, 3)
    )  # fmt: skip
    files = [("a.csv", with_fractions), ("b.csv", without)]
    for name, text in files[::-1] if order else files:
        load(text, name)
        found = pd.read_parquet(tmp_path / "out" / "finals.parquet")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultsWarning)  # that a run has a language more
            wanted = finals_table(Results(tmp_path / "out"))
        by = ["target", "split", "intermediate", "intermediate_fraction", "seed", "language"]
        pd.testing.assert_frame_equal(
            found.sort_values(by, ignore_index=True), wanted.to_pandas().sort_values(by, ignore_index=True)
        )
    assert len(found) == 8 + 1 + 18
    assert sorted(set(found["language"])) == ["de", "en"]


def test_finals_of_several_encoders_stand_beside_each_other(load: Import, tmp_path: Path) -> None:
    rows = "".join(
        f"{encoder},{arm},xnli,{seed},{50 + seed}\n" for encoder in "ba" for arm in ("none", "mnli") for seed in (1, 2)
    )
    load("encoder,intermediate,target,seed,value\n" + rows, "a.csv")
    found = pd.read_parquet(tmp_path / "out" / "finals.parquet")
    assert found.groupby("encoder").size().to_dict() == {"a": 4, "b": 4}
    assert found.equals(finals_table(Results(tmp_path / "out")).to_pandas())
