"""`raystilts report`: the file that it writes, and what it says of mistakes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from results.examples import write_results

from raystilts.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in a folder; exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", "report", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_writes_a_page(call: Call, tmp_path: Path) -> None:
    write_results(tmp_path / "results")
    code, out, err = call("results", "-o", "page.html")
    assert (code, err) == (0, "")
    assert out.startswith("page.html: 0.0")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_mistakes(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_results(tmp_path / "results")
    for arguments, message in {
        ("nowhere",): "nowhere does not exist. Run a study first",
        ("empty",): "no finished target stage yet",
        ("results", "-o", "empty"): "--output empty: is a folder; give a file",
        ("results", "-o", "no/page.html"): "--output no/page.html: there is no folder",
        ("results", "-o", "/dev/full/page.html"): "there is no folder /dev/full",
        ("results", "-o", "/proc/version"): "--output /proc/version: cannot be written",
    }.items():
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("*.html"))
