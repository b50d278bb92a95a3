"""`raystilts analyze`: what is printed and written, on results whose answers are known."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from results.rows import write

from raystilts.cli import main
from raystilts.results.results import Results
from raystilts.study.schema import Study

Call = Callable[..., tuple[int, str, str]]
SIZES = (0.03, 0.07, 0.18, 0.42, 1.0)
LANGUAGES = ("ar", "bg", "bn", "de", "el", "en", "es", "et", "eu", "fa", "fi", "fr", "he", "hi")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", "analyze", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """squad gains more on udpos the more data it has, and nothing on pawsx."""
    folder = tmp_path_factory.mktemp("sizes")
    rng = np.random.default_rng(0)
    for target, slope in (("udpos", 0.04), ("pawsx", 0.0)):
        for seed in range(4):
            for fraction in (None, *SIZES):
                name = "none" if fraction is None else "squad"
                gain = 0.0 if fraction is None else slope * np.log10(fraction / 0.01)
                scores = {code: 0.5 + 0.01 * i + gain + float(rng.normal(0, 0.002)) for i, code in enumerate(LANGUAGES)}
                stage = f"{target}_{name}_{fraction}_{seed}".replace(".", "_")
                arm = {"intermediate": name, "intermediate_fraction": fraction}
                write(folder, stage, scores, **arm, seed=seed, target=target)
    return folder


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """snli helps small training sets of pawsx and harms the large."""
    folder = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    for fraction in SIZES:
        for seed in range(4):
            for name, gain in (("none", 0.0), ("snli", 0.05 - 0.04 * np.log10(fraction / 0.03))):
                scores = {"en": 0.5 + 0.1 * np.log10(fraction / 0.03) + gain + float(rng.normal(0, 0.002))}
                part = None if name == "none" else 1.0
                stage = f"{name}_{fraction}_{seed}".replace(".", "_")
                write(
                    folder, stage, scores, intermediate=name, intermediate_fraction=part, seed=seed, target="pawsx",
                    target_fraction=fraction,
                )  # fmt: skip
    return folder


def narrow(out: str) -> bool:
    return all(len(line) <= 80 for line in out.splitlines())


def test_intermediate_size(call: Call, sizes: Path, tmp_path: Path) -> None:
    table, figure = tmp_path / "sizes.csv", tmp_path / "figure.png"
    code, out, err = call("intermediate-size", sizes, "--csv", table, "--plot", figure)
    assert (code, err.strip()) == (0, str(figure))
    assert narrow(out)
    assert "Of 2 curves, 1 rise with the size of the data and 0 fall" in " ".join(out.split())
    assert "difference +4.0" in out
    assert figure.stat().st_size > 10_000
    assert figure.with_suffix(".csv").is_file()
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == 2 * 5 * (len(LANGUAGES) + 1)
    assert {row["language"] for row in rows} == {*LANGUAGES, "macro"}
    answer = json.loads(call("intermediate-size", sizes, "--json", "--language", "de")[1])
    assert {(row["language"], row["unit"]) for row in answer} == {("de", "share of the data")}


def test_gains(call: Call, sizes: Path, tmp_path: Path) -> None:
    code, out, err = call("gains", sizes, "--target", "udpos", "--plot", tmp_path / "gains.svg")
    assert code == 0, err
    assert narrow(out)
    assert "all 70 arms and languages" in out
    one = json.loads(call("gains", sizes, "--target", "udpos", "--intermediate-fraction", "1.0", "--json")[1])
    assert len(one) == len(LANGUAGES) + 1
    assert all(row["p_holm"] < 0.01 for row in one if row["language"] != "macro")


def test_language_similarity(call: Call, sizes: Path, tmp_path: Path) -> None:
    far = tmp_path / "far.csv"
    far.write_text("language,far\n" + "".join(f"{code},{i}\n" for i, code in enumerate(LANGUAGES)))
    code, out, err = call("language-similarity", sizes, "--distances", far, "--plot", tmp_path / "figure.png")
    assert code == 0, err
    assert narrow(out)
    assert "baseline_seeds" in out
    assert (tmp_path / "figure.csv").is_file()
    code, _, err = call("language-similarity", sizes, "--distances", far, "--plot", tmp_path / "far.png")
    assert code == 2
    assert "would overwrite" in err
    [row] = json.loads(call("language-similarity", sizes, "--distances", far, "--json")[1])
    assert (row["predictor"], row["number"]) == ("far", 13)


def test_language_similarity_leaves_out_what_is_not_learnt(call: Call, sizes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(sizes, folder)
    far = tmp_path / "far.csv"
    far.write_text("language,far\n" + "".join(f"{code},{i}\n" for i, code in enumerate(LANGUAGES)))
    asked = ("language-similarity", folder, "--distances", far, "--json")
    before = json.loads(call(*asked)[1])
    for seed in range(4):
        for name, fraction in (("none", None), ("squad", 1.0)):
            scores = {code: 0.33 + 0.01 * i * (name == "squad") for i, code in enumerate(LANGUAGES)}
            write(folder, f"xnli_{name}_{seed}", scores, intermediate=name, intermediate_fraction=fraction, seed=seed,
                  target="xnli", degenerate=True, degenerate_rule="chance")  # fmt: skip
    assert json.loads(call(*asked)[1]) == before
    with mock.patch.object(Results, "answers", autospec=True, side_effect=Results.answers) as ranked:
        out = call(*asked[:-1])[1]
    assert ranked.call_count == 1, "all targets are ranked once"
    assert "not learnt at this size, so no arm is better than another: xnli" in " ".join(out.split())
    assert "gains are means over pawsx, udpos after squad" in " ".join(out.split())
    code, _, err = call(*asked, "--target", "xnli")
    assert (code, "no target is learnt at this size" in err) == (2, True)


def test_target_size(call: Call, targets: Path, tmp_path: Path) -> None:
    code, out, err = call("target-size", targets, "--plot", tmp_path / "worth.png", "--csv", tmp_path / "worth2.csv")
    assert code == 0, err
    assert narrow(out)
    assert "The gain falls through zero at 0.5" in " ".join(out.split())
    assert (tmp_path / "worth.csv").read_text() == (tmp_path / "worth2.csv").read_text()
    rows = json.loads(call("target-size", targets, "--json")[1])
    assert [row["size"] for row in rows] == list(SIZES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["intermediate-size", "--target", "pawx"], "did you mean 'pawsx'"),
        (["gains", "--metric", "f1"], "known: accuracy"),
        (["intermediate-size", "--language", "xx"], "--language xx: not in these results"),
        (["intermediate-size", "--effect", "0"], "--effect 0"),
        (["gains", "--plot", "figure.doc"], "must end in"),
        (["target-size", "--csv", "/nowhere/at/all.csv"], "there is no folder"),
        (["language-similarity", "--sizes", "/nowhere.csv"], "no such file"),
    ],
)
def test_mistakes_are_explained(call: Call, sizes: Path, arguments: list[str], message: str) -> None:
    command, *rest = arguments
    code, out, err = call(command, sizes, *rest)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_an_answer_begins_with_how_much_of_the_study_is_there(call: Call, targets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(targets, folder)
    fields = {
        "name": "small", "intermediates": ["none", "snli", "squad"], "targets": ["pawsx"], "seeds": [0, 1, 2, 3],
        "target_fractions": list(SIZES), "intermediate_fractions": [1.0],
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(Study.model_validate(fields).model_dump(mode="json")))
    n = len(SIZES) * 4
    code, out, _ = call("target-size", folder)
    assert code == 0
    assert out.startswith(f"{2 * n} of {3 * n} cells; missing: squad\n")
    assert json.loads(call("target-size", folder, "--json")[1]), "nothing stands before JSON"
