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
