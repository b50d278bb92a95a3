"""`best`, `matrix` and `next` in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from results.examples import write_results
from results.rows import write

from raystilts.cli import main
from raystilts.cli.run import _print_next
from raystilts.results.answers import ArmAnswer

Call = Callable[..., tuple[int, str, str]]
#: What programs rely on, by name.
FIELDS = {
    "target", "language", "target_fraction", "intermediate", "intermediate_fraction", "mean", "gain", "gain_low",
    "gain_high", "p_best", "expected_regret", "in_best_set", "seeds", "stopped", "failed", "hyperparameters", "metric",
    "split", "selection",
}  # fmt: skip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_results(tmp_path / "small")


def test_json_is_a_list_of_arms(call: Call, folder: Path) -> None:
    code, out, err = call("best", folder, "--json")
    arms = json.loads(out)
    assert (code, err) == (0, "")
    assert {frozenset(arm) for arm in arms} == {frozenset(ArmAnswer.__dataclass_fields__)}
    assert set(ArmAnswer.__dataclass_fields__) >= FIELDS
    assert [arm["intermediate"] for arm in arms if arm["in_best_set"]] == ["squad"]
    assert {arm["language"] for arm in arms} == {None}
    german = json.loads(call("best", folder, "--language", "de", "--target", "xnli", "--json")[1])
    assert {(arm["language"], arm["target"]) for arm in german} == {("de", "xnli")}


def test_strict_sets_are_no_smaller(call: Call, folder: Path) -> None:
    easy, strict = (json.loads(call("best", folder, "--json", *more)[1]) for more in ((), ("--strict",)))
    chosen = [{arm["intermediate"] for arm in arms if arm["in_best_set"]} for arms in (easy, strict)]
    assert chosen[0] <= chosen[1]
    assert "Hsu's worst-case test" in call("best", folder, "--strict")[1]


def test_people_get_a_table_and_the_average_over_targets(call: Call, folder: Path) -> None:
    out = call("best", folder)[1]
    assert "squad is best." in out
    assert "over " not in out  # one target is no average
    write_results(folder, target="pawsx", targets=["xnli", "pawsx"])
    out = call("best", folder)[1]
    assert out.index("over 2 targets: pawsx, xnli") > out.index("xnli: accuracy")
    assert max(map(len, out.splitlines())) <= 80
    alone = call("best", folder, "--overall")[1]
    assert alone[alone.index("over 2 targets") :] == out[out.index("over 2 targets") :]
    assert json.loads(call("best", folder, "--overall", "--json")[1])["targets"] == ["pawsx", "xnli"]


def test_matrix(call: Call, folder: Path, tmp_path: Path) -> None:
    assert "gain over none in points" in call("matrix", folder)[1]
    assert call("matrix", folder, "--value", "score", "--csv")[1].startswith("arm,xnli\nnone,0.452")
    assert call("matrix", folder, "--value", "odd")[0] == 2
    pytest.importorskip("matplotlib")
    code, out, err = call("matrix", folder, "--plot", tmp_path / "m.png")
    assert (code, out, err.strip()) == (0, "", str(tmp_path / "m.png"))
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_matrix_without_a_baseline_shows_scores(call: Call, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "bare", leave_out=("none",))
    shown, scores, gains = (call("matrix", folder, *more)[1]
                            for more in ((), ("--value", "score"), ("--value", "gain")))  # fmt: skip
    assert "no gains: none has no finished run; scores instead" in shown
    assert "--value p_best" in shown
    assert shown.endswith(scores.partition("\n")[2])  # below how much of the study is there
    assert "gain over none in points" in gains
    (folder / "study.json").unlink()  # as what was imported
    for more in ((), ("--value", "gain")):
        assert "raystilts import --baseline NAME" in " ".join(call("matrix", folder, *more)[1].split())
    assert call("matrix", folder, "--csv")[1] == call("matrix", folder, "--csv", "--value", "gain")[1]


def test_next_says_when_there_is_nothing_to_do(call: Call, folder: Path, tmp_path: Path) -> None:
    code, out, _ = call("next", folder, "-o", tmp_path / "next.yaml")
    assert code == 0
    assert "settled: xnli\nnothing to run: every target is settled; " in out
    assert not (tmp_path / "next.yaml").exists()


def test_a_run_ends_with_commands_that_are_there(call: Call, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _print_next(str(folder))
    lines = capsys.readouterr().out.splitlines()
    said = [line.strip() for line in lines if line.startswith("  ")]
    assert said == [
        f"raystilts best {folder}",
        f"raystilts best {folder} --language de --json",
        f"raystilts next {folder}",
        "raystilts plan YOUR_STUDY.yaml",
    ]
    assert [call(*line.split()[1:])[0] for line in said[:3]] == [0, 0, 0]


def test_nothing_finished_is_said(call: Call, tmp_path: Path) -> None:
    write(tmp_path / "r", "a", {}, status="failed")
    write(tmp_path / "r", "b", {}, status="stopped", seed=2)
    code, _, err = call("best", tmp_path / "r")
    assert code == 2
    assert "hold no finished target stage (1 failed, 1 stopped)" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["best", "FOLDER", "--target", "xnil"], "--target xnil: not in these results; did you mean 'xnli'?"),
        (["best", "FOLDER", "--language", "fr"], "--language fr: not in these results; known: de, en"),
        (["best", "FOLDER", "--intermediate-fraction", "0.3"], "--intermediate-fraction 0.3: the results hold 0.25, 1"),
        (["best", "nowhere"], "nowhere does not exist"),
        (["best", "FOLDER", "--overall", "--target", "xnli"], "--overall and --target exclude each other"),
        (["best", "FOLDER", "--overall", "--strict"], "--overall and --strict exclude each other"),
        (["matrix", "FOLDER", "--plot", "m.xls"], "must end in .png"),
        (["next", "FOLDER", "--probability", "80"], "--probability 80: must lie between 0 and 1"),
        (["next", "FOLDER", "--tolerance", "-1"], "--tolerance -1: must be at least 0"),
        (["next", "FOLDER", "-o", "no/next.yaml"], "there is no folder"),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, list) else "",
)
def test_mistakes(call: Call, folder: Path, arguments: list[str], message: str) -> None:
    code, out, err = call(*(str(folder) if word == "FOLDER" else word for word in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) <= 2
