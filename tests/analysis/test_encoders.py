"""Encoders beside each other: differences paired by arm and seed, with known answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from results.rows import run_row, score_rows
from scipy import stats

from raystilts.analysis.encoders import EncoderComparison, compare_encoders
from raystilts.cli import main
from raystilts.errors import UserError
from raystilts.ranking.paired import paired_difference
from raystilts.results.finals import finals
from raystilts.results.ledger import write_attempt
from raystilts.results.results import Results
from raystilts.study.schema import Study

SEEDS = range(4)
ARMS = ("none", "snli", "squad")
#: Score of each encoder and arm; noise of each run on top.
LEVELS = {"base": {"none": 0.50, "snli": 0.60, "squad": 0.55}, "large": {"none": 0.70, "snli": 0.72, "squad": 0.80}}


def noise(encoder: str, arm: str, seed: int) -> float:
    return float(np.random.default_rng([len(encoder), len(arm), seed]).normal(0, 0.01))


def score(encoder: str, arm: str, seed: int) -> float:
    return LEVELS[encoder][arm] + noise(encoder, arm, seed)


def write(folder: Path, encoders: tuple[str, ...] = ("base", "large"), target: str = "xnli") -> Path:
    for encoder in encoders:
        for arm in ARMS:
            for seed in SEEDS:
                name = f"{target}_{encoder}_{arm}_{seed}"
                run = run_row(name, encoder=encoder, intermediate=arm, seed=seed, target=target,
                              intermediate_fraction=None if arm == "none" else 1.0)  # fmt: skip
                value = score(encoder, arm, seed)
                rows = [row for split in ("dev", "test")
                        for row in score_rows(run, {"en": value + 0.1, "de": value - 0.1}, split=split)]  # fmt: skip
                write_attempt(folder, run, rows)
    return folder


@pytest.fixture
def found(tmp_path: Path) -> EncoderComparison:
    [one] = compare_encoders(Results(write(tmp_path)))
    return one


def half_width() -> float:
    """Of the difference of one arm: 9 degrees of freedom, 3 from each of 3 arms."""
    gaps = np.array([[score("large", a, s) - score("base", a, s) for s in SEEDS] for a in ARMS])
    variance = gaps.var(axis=1, ddof=1).mean()
    return float(stats.t.ppf(0.975, 9) * np.sqrt(variance / len(SEEDS)))


def test_one_arm_by_the_variance_of_all(found: EncoderComparison) -> None:
    base, large = found.encoders
    gaps = np.array([score("large", "none", s) - score("base", "none", s) for s in SEEDS])
    assert (base.encoder, large.encoder) == ("base", "large")
    assert base.none.score == pytest.approx(np.mean([score("base", "none", s) for s in SEEDS]))
    assert base.none.gap is None
    assert large.none.gap == pytest.approx(gaps.mean())
    ends = gaps.mean() - half_width(), gaps.mean() + half_width()
    assert (large.none.low, large.none.high) == pytest.approx(ends)
    assert large.none.certain


def test_each_with_its_best_arm(found: EncoderComparison) -> None:
    base, large = found.encoders
    assert (base.best.arm, large.best.arm) == ("snli", "squad")
    gaps = np.array([score("large", "squad", s) - score("base", "snli", s) for s in SEEDS])
    one, interval = large.best, stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (one.gap, one.low, one.high) == pytest.approx((gaps.mean(), interval.low, interval.high))


def test_with_the_same_best_arm_by_the_variance_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEVELS, "large", {"none": 0.70, "snli": 0.80, "squad": 0.72})
    [found] = compare_encoders(Results(write(tmp_path)))
    gaps = np.array([score("large", "snli", s) - score("base", "snli", s) for s in SEEDS])
    ends = gaps.mean() - half_width(), gaps.mean() + half_width()
    assert (found.encoders[1].best.low, found.encoders[1].best.high) == pytest.approx(ends)


def test_an_arm_that_a_third_encoder_lacks_is_among_its_own_pool(tmp_path: Path) -> None:
    """`squad`, which only the first two have, is in the variance of their differences as before."""
    folder = write(tmp_path)
    for arm in ("none", "snli"):
        for seed in SEEDS:
            run = run_row(f"third_{arm}_{seed}", encoder="third", intermediate=arm, seed=seed,
                          intermediate_fraction=None if arm == "none" else 1.0)  # fmt: skip
            rows = [row for split in ("dev", "test")
                    for row in score_rows(run, {"en": 0.5 + 0.01 * seed**2, "de": 0.4}, split=split)]  # fmt: skip
            write_attempt(folder, run, rows)
    [found] = compare_encoders(Results(folder))
    large = next(one for one in found.encoders if one.encoder == "large").none
    gap = np.mean([score("large", "none", s) - score("base", "none", s) for s in SEEDS])
    assert (large.low, large.high) == pytest.approx((gap - half_width(), gap + half_width()))


def test_the_mean_over_arms(found: EncoderComparison) -> None:
    gaps = np.array([np.mean([score("large", a, s) - score("base", a, s) for a in ARMS]) for s in SEEDS])
    interval = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    mean = found.encoders[1].mean
    assert set(found.arms) == set(ARMS)
    assert mean.gap == pytest.approx(gaps.mean())
    assert (mean.low, mean.high) == pytest.approx((interval.low, interval.high))


def test_with_one_arm_it_is_the_paired_t_test() -> None:
    gaps = np.array([0.1, 0.3, np.nan, 0.2, 0.25])
    interval = stats.ttest_1samp(gaps, 0, nan_policy="omit").confidence_interval(0.95)
    found = paired_difference(gaps, [gaps])
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    fixed = paired_difference(np.full(3, 0.2), [], exact=True)
    assert (fixed.value, fixed.low, fixed.high) == pytest.approx((0.2, 0.2, 0.2))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """4 encoders, 3 arms, 3 seeds whose shifts all encoders share: the coverage of all differences, 600 studies."""
    from raystilts.ranking.contrasts import Contrasts

    rng = np.random.default_rng(5)
    held = []
    for _ in range(600):
        shifts = rng.normal(0, 0.02, (3, 1, 3)) + rng.normal(0, 0.01, (1, 4, 3))
        table = shifts + rng.normal(0, 0.01, (3, 4, 3))
        one = Contrasts(table).difference([1] * 3, [0] * 3, [1 / 3] * 3)
        assert one.low is not None
        assert one.high is not None
        held.append(one.low <= 0 <= one.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    for encoder in LEVELS:
        run = run_row(f"a{encoder}", encoder=encoder, seed=0)
        write_attempt(tmp_path, run, score_rows(run, {"en": score(encoder, "none", 0)}))
    [one] = compare_encoders(Results(tmp_path))
    large = one.encoders[1].none
    assert large.gap == pytest.approx(score("large", "none", 0) - score("base", "none", 0))
    assert (large.low, large.high, large.certain) == (None, None, False)


def test_one_encoder_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="of one encoder"):
        compare_encoders(Results(write(tmp_path, ("base",))))


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def test_an_imported_table_of_two_encoders(tmp_path: Path, call: Call) -> None:
    rows = [f"{e},{a},xnli,{s},{100 * score(e, a, s)}" for e in LEVELS for a in ARMS for s in SEEDS]
    (tmp_path / "table.csv").write_text("\n".join(["encoder,intermediate,target,seed,accuracy", *rows]) + "\n")
    assert call("import", str(tmp_path / "table.csv"), "--out", str(tmp_path / "mine"))[0] == 0
    [one] = json.loads(call("best", str(tmp_path / "mine"), "--compare", "encoders", "--json")[1])
    gap = np.mean([score("large", "none", s) - score("base", "none", s) for s in SEEDS])
    assert one["encoders"][1]["none"]["gap"] == pytest.approx(gap)


def test_every_question_takes_an_encoder(tmp_path: Path, call: Call) -> None:
    folder = write(tmp_path / "both")
    write(folder, target="pawsx")
    asked = Study.model_validate(
        {"name": "both", "encoders": ["base", "large"], "intermediates": ARMS, "targets": ["xnli", "pawsx"],
         "seeds": list(SEEDS)}
    )  # fmt: skip
    (folder / "study.json").write_text(json.dumps(asked.model_dump(mode="json")))

    place = str(folder)
    code, out, err = call("best", place)
    assert (code, err) == (0, "")
    assert out.index("== base ==") < out.index("== large ==") < out.index("encoders beside base")
    assert out.startswith("48 of 48 cells")
    assert "large, each with its best arm: above base on 2, below on 0, not told apart on 0 of 2 targets" in " ".join(
        out.split()
    )
    alone = call("best", place, "--encoder", "large", "--target", "xnli")[1]
    assert "== " not in alone
    assert "squad" in alone
    arms = json.loads(call("best", place, "--json")[1])
    assert {arm["encoder"] for arm in arms} == {"base", "large"}
    [one] = [c for c in json.loads(call("best", place, "--compare", "encoders", "--json")[1]) if c["target"] == "xnli"]
    assert one["encoders"][1]["best"]["arm"] == "squad"
    assert call("matrix", place)[1].count("gain over none") == 2
    assert call("matrix", place, "--encoder", "base")[1].count("gain over none") == 1
    code, _, err = call("matrix", place, "--csv")
    assert code == 2
    assert "several values of `encoder`: base, large" in err
    assert call("report", place, "--encoder", "base", "-o", str(tmp_path / "page.html"))[0] == 0
    assert call("next", place, "--encoder", "large")[0] in (0, 1)
    code, _, err = call("best", place, "--encoder", "lage")
    assert (code, "did you mean 'large'?" in err) == (2, True)
    assert call("analyze", "--encoder", "large", "intermediate-size", place)[2] == ""


def test_finals_say_whose_they_are(tmp_path: Path) -> None:
    table = finals(Results(write(tmp_path)))
    means = table[(table["split"] == "test") & (table["intermediate"] == "none")].groupby("encoder")["value"].mean()
    assert means["large"] - means["base"] == pytest.approx(
        np.mean([score("large", "none", s) - score("base", "none", s) for s in SEEDS])
    )


def test_watching_ends_with_what_holds_for_each_encoder(tmp_path: Path, call: Call) -> None:
    folder = write(tmp_path / "both")
    (folder / "progress.json").write_text(json.dumps({"state": "ended", "done": 24, "failed": 0}))
    code, out, _ = call("watch", str(folder))
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines() if line.startswith("xnli")] == [
        "xnli (base)", "xnli (large)"
    ]  # fmt: skip
