"""Percent and fractions in one table: told apart by target, or refused by name; never 100 times off in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from raystilts.errors import UserError
from raystilts.importing.table import Imported

Import = Callable[..., Imported]
Scores = Callable[[], pd.DataFrame]
_LONG = "intermediate,target,seed,split,language,metric,value\n"


def _values(frame: pd.DataFrame, *names: str) -> dict[object, float]:
    return frame.set_index([*names])["value"].round(6).to_dict()


def _table(column: str, cells: dict[str, tuple[object, object]], metric: str = "accuracy") -> str:
    """Two arms on rte; `cells` has the scores of both for each value of a column."""
    rows = [
        {"intermediate": arm, "target": "rte", "metric": metric, column: name, "value": value}
        for name, values in cells.items()
        for arm, value in zip(("none", "mnli"), values, strict=True)
    ]
    return pd.DataFrame(rows).to_csv(index=False)


@pytest.mark.parametrize(
    ("column", "cells", "says"),
    [("split", {"dev": (0.704, 0.725), "test": (50.1, 52.1)}, r"0.704, 0.725 for split dev"),
     ("split", {"dev": (70.4, 72.5), "test": (0.0, 0.521)}, r"0.521 for split test"),
     ("language", {"en": (90.4, 91.2), "de": (0.31, 0.33)}, r"0.31, 0.33 for language de"),
     ("language", {"en": (90.4, 91.2), "fr": (3.0, 4.0), "de": (0.31, 0.33)}, r"0.31, 0.33 for language de"),
     ("seed", {"1": (90.4, 91.2), "2": (0.31, 0.33)}, r"0.31, 0.33 for seed 2"),
     ("encoder", {"xlmr": (90.4, 91.2), "mbert": (0.31, 0.33)}, r"0.31, 0.33 for encoder mbert")],
)  # fmt: skip
def test_a_part_of_a_target_in_fractions_is_refused(
    load: Import, scores: Scores, column: str, cells: dict[str, tuple[object, object]], says: str
) -> None:
    text = _table(column, cells)
    with pytest.raises(UserError, match=rf"table.csv row \d: accuracy of rte is {says}") as refused:
        load(text)
    assert "--scale percent" in str(refused.value)
    assert "--scale fraction" in str(refused.value)
    load(text, scale="percent")  # a word decides
    assert scores()["value"].max() > 0.5


def test_an_arm_in_fractions_is_refused(load: Import) -> None:
    with pytest.raises(UserError, match=r"row 1: accuracy of rte is 0.31 for intermediate none and up to 90.4 for oth"):
        load("intermediate,target,metric,value\nnone,rte,accuracy,0.31\nmnli,rte,accuracy,90.4\nqqp,rte,accuracy,88\n")


def test_low_percents_beside_others_near_one_are_percents(load: Import, scores: Scores) -> None:
    load(_table("seed", {"1": (0.8, 1.2), "2": (0.5, 7.0)}))
    assert sorted(scores()["value"].round(6)) == [0.005, 0.008, 0.012, 0.07]
    load(_table("language", {"en": (0.0, 60.0), "de": (0.0, 0.0)}, "f1"), "zero.csv", constants={"seed": "1"})


@pytest.mark.parametrize(
    "cells", [("70.4%", "0.71", "72.5%", "0.73"), ("70.4%", "0.31", "72.5%", "0.0"), ("0.8%", "0.6", "0.5%", "0.4")]
)
def test_cells_with_and_without_percent_signs(load: Import, scores: Scores, cells: tuple[str, ...]) -> None:
    arms = ("none", "mnli", "qqp", "sst")
    text = "intermediate,target,metric,value\n" + "".join(
        f"{arm},rte,accuracy,{cell}\n" for arm, cell in zip(arms, cells, strict=True)
    )
    with pytest.raises(UserError, match=rf"row 2: accuracy {cells[1]} of rte has no percent sign, others of rte have"):
        load(text)
    done = load(text, scale="fraction")
    parts = [float(cell.rstrip("%")) / (100 if "%" in cell else 1) for cell in cells]
    assert _values(scores(), "intermediate") == pytest.approx(dict(zip(arms, parts, strict=True)))
    assert "2 values with a percent sign are in percent all the same" in done.said


def test_percents_with_and_without_sign_are_percents(load: Import, scores: Scores) -> None:
    load("intermediate,target,value\nnone,rte,70.4%\nmnli,rte,71.2\nqqp,rte,0.3%\nsst,rte,0\n")
    assert _values(scores(), "intermediate") == {"none": 0.704, "mnli": 0.712, "qqp": 0.003, "sst": 0.0}
    with pytest.raises(UserError, match=r"row 3: score 0.7 of rte looks like a fraction among percents"):
        load("intermediate,target,value\nnone,rte,70.4%\nmnli,rte,71.2\nqqp,rte,0.7\n", "b.csv")


@pytest.mark.parametrize(("sign", "options"), [("%", {}), ("", {"scale": "percent"}), ("%", {"scale": "fraction"})])
@pytest.mark.parametrize("metric", ["error", "wer"])
def test_small_errors_in_percent(load: Import, scores: Scores, metric: str, sign: str, options: dict[str, str]) -> None:
    arms = {"none": 0.8, "mnli": 0.6, "qqp": 0.5, "sst": 0.4}
    load(_LONG + "".join(f"{arm},rte,1,test,en,{metric},{value}{sign}\n" for arm, value in arms.items()), **options)
    assert _values(scores(), "intermediate") == {"none": 0.992, "mnli": 0.994, "qqp": 0.995, "sst": 0.996}
    assert set(scores()["metric"]) == {f"1-{metric}"}


def _wer(cv: tuple[object, ...], fleurs: tuple[object, ...]) -> str:
    rows = [(target, arm, value) for target, values in (("cv", cv), ("fleurs", fleurs))
            for arm, value in zip(("none", "a", "b"), values, strict=True)]  # fmt: skip
    return _LONG + "".join(f"{arm},{target},1,test,en,wer,{value}\n" for target, arm, value in rows)


def test_errors_are_turned_over_in_the_scale_of_their_target(load: Import, scores: Scores) -> None:
    done = load(_wer((20, 20.5, 21), (0.18, 0.2, 0.22)))
    found = _values(scores(), "target", "intermediate")
    assert found == pytest.approx({
        ("cv", "none"): 0.8, ("cv", "a"): 0.795, ("cv", "b"): 0.79,
        ("fleurs", "none"): 0.82, ("fleurs", "a"): 0.8, ("fleurs", "b"): 0.78,
    })  # fmt: skip
    assert any("1-wer of fleurs: scores in fractions of 1" in said for said in done.said)


def test_errors_that_may_be_either_are_refused(load: Import, scores: Scores) -> None:
    """0.4 to 0.9 beside 5 may be percents of an easy task; of words, 0.9 to 1.2 may be either."""
    easy = _wer((5, 6, 5.5), (0.4, 0.6, 0.9))
    with pytest.raises(
        UserError, match=r"row 4: wer of fleurs is 0.4, 0.6, 0.9, and that of cv in percent: percent or"
    ):
        load(easy)
    load(easy, scale="percent")
    assert _values(scores().query("target == 'fleurs'"), "intermediate") == {"none": 0.996, "a": 0.994, "b": 0.991}
    around = _wer((20, 21, 22), (0.9, 1.2, 1.1))
    with pytest.raises(
        UserError, match=r"wer of fleurs is 0.9, 1.2, 1.1, around 1: percent or fractions\? Give --scale"
    ):
        load(around, "b.csv")


def test_an_error_out_of_range_has_the_name_of_the_file(load: Import) -> None:
    with pytest.raises(UserError, match=r"row 1: wer 20 is no score between 0 and 1"):
        load(_wer((20, 21, 22), (0.2, 0.3, 0.3)), scale="fraction")


def test_differences_in_percent_from_a_fraction_are_refused(load: Import, scores: Scores) -> None:
    text = "intermediate,target,kind,value\nnone,rte,value,0.704\nmnli,rte,delta,{}\nqqp,rte,delta,-0.4\n"
    with pytest.raises(UserError, match=r"row 2: score of rte is 1.5 more than the baseline's 0.704 \(1 such rows\)"):
        load(text.format(1.5))
    load(text.format(0.015), scale="fraction")
    assert _values(scores(), "intermediate") == {"none": 0.704, "mnli": 0.719, "qqp": 0.304}


def test_differences_of_errors_may_mean_either_way(load: Import) -> None:
    with pytest.raises(UserError, match=r"--difference kind=delta: table.csv row 2: wer is better when lower"):
        load("intermediate,target,metric,kind,value\nnone,asr,wer,value,0.3\nmnli,asr,wer,delta,0.02\n")


def test_a_spread_in_percent_of_a_fraction_is_refused(load: Import, scores: Scores) -> None:
    text = "intermediate,target,value,std,n\nnone,rte,{},1.2,3\nmnli,rte,{},0.9,3\n"
    with pytest.raises(UserError, match=r"row 1: no runs can have score 0.71 with std 1.2, as fractions of 1 \(2 such"):
        load(text.format(0.71, 0.73))
    load(text.format(71, 73))
    assert scores().groupby("intermediate")["value"].std().round(6).to_dict() == {"none": 0.012, "mnli": 0.009}


def test_tables_of_one_folder_in_two_scales(load: Import, tmp_path: Path) -> None:
    """Each file alone would be understood; together they are of one target."""
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "a.csv").write_text("intermediate,target,seed,value\nnone,rte,1,90.1\nmnli,rte,1,91\n")
    (folder / "b.csv").write_text("intermediate,target,seed,value\nnone,rte,2,0.31\nmnli,rte,2,0.32\n")
    with pytest.raises(
        UserError, match=r"score of rte is 0.31, 0.32 for (seed 2|file .*b.csv) and up to 91 for others"
    ):
        load(folder)
