"""Every command has its help by `-h`, and shells can complete their names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from raystilts import cli
from raystilts.cli.common import app
from raystilts.errors import did_you_mean


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command with the groups that it is in."""
    found = [path]
    for name, one in getattr(group, "commands", {}).items():
        found += commands(one, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(typer.main.get_command(app)), ids=" ".join)
def test_h_is_help(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = []
    for option in ("-h", "--help"):
        monkeypatch.setattr("sys.argv", ["raystilts", *path, option])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    usage = texts[0].splitlines()[0]
    assert usage.startswith("Usage: ")
    assert set(path) <= set(usage.replace(".", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("best", "R", "--target", "rte", "--target", "boolq"), "--target is given 2 times and takes one value"),
        (("best", "R", "--language=de", "--json", "--language", "fr"), "--language is given 2 times"),
        (("report", "R", "-o", "a.html", "--output", "b.html", "-o", "c.html"), "--output is given 3 times"),
        (("analyze", "--encoder", "a", "--encoder", "b", "intermediate-size", "R"), "--encoder is given 2 times"),
        (("tasks", "show", "mnli", "--data-dir", "a", "--data-dir", "b"), "--data-dir is given 2 times"),
    ],
)
def test_an_option_of_one_value_is_given_once(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["raystilts", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_options_that_may_be_repeated_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a,b,c,seed\nnone,rte,1,0\nmnli,rte,2,0\n")
    columns = ["--column", "intermediate=a", "--column", "target=b", "--column", "value=c", "--explain", "--explain"]
    monkeypatch.setattr("sys.argv", ["raystilts", "import", str(tmp_path / "t.csv"), "--set", "metric=f", *columns])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0, capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["raystilts", "best", "--target", "a", "--target", "b", "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("RTE", "did you mean 'rte'?"),
        ("Bool_Q", "did you mean 'boolq'?"),
        ("sts-b", "did you mean 'STS-B' or 'stsb'?"),
        ("zzzzzz", "known: STS-B, boolq, rte, stsb"),
    ],
)
def test_case_is_no_reason_not_to_know_a_name(given: str, expected: str) -> None:
    assert did_you_mean(given, ["rte", "boolq", "STS-B", "stsb"]) == expected


def test_a_shell_completes_names(tmp_path: Path) -> None:
    program = tmp_path / "raystilts"
    program.write_text(f"#!{sys.executable}\nfrom raystilts.cli import script\nscript()\n")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def bash(text: str) -> str:
        # Two commands: with one, bash gives its process away, and is no longer there to be found as the shell.
        done = subprocess.run(["bash", "-c", f"{text}\n:"], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    shown = bash("raystilts --show-completion")
    assert "complete -o default -F _raystilts_completion raystilts" in shown
    bash(f"{shown}\ntype _raystilts_completion")
    words = bash('COMP_WORDS="raystilts wa" COMP_CWORD=1 _RAYSTILTS_COMPLETE=complete_bash raystilts').split()
    assert words == ["watch"]
    options = bash('COMP_WORDS="raystilts run --rep" COMP_CWORD=2 _RAYSTILTS_COMPLETE=complete_bash raystilts').split()
    assert options == ["--report-to"]
