from __future__ import annotations

import json
from pathlib import Path

import pytest

from raystilts import cli

_TABLE = """source,task,run,score
none,rte,1,60
none,rte,2,62
mnli,rte,1,70
mnli,rte,2,71
"""


def _call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr("sys.argv", ["raystilts", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_import_then_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(_TABLE)
    out = str(tmp_path / "out")
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--out", out, "--column", "seed=run") == 0
    said = capsys.readouterr().out
    assert "column 'source' taken for intermediate" in said
    assert "score: scores in percent" in said
    assert "4 scores read: 4 new" in said
    assert f"4 runs in {out}" in said
    assert _call(monkeypatch, "best", out, "--json") == 0
    arms = {arm["intermediate"]: arm for arm in json.loads(capsys.readouterr().out)}
    assert arms["mnli"]["in_best_set"]
    assert arms["none"]["gain"] is None
    assert arms["mnli"]["seeds"] == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--column", "target"], "--column target: write NAME=VALUE"),
        (["--column", "target=tusk"], "no column 'tusk'; did you mean 'task'?"),
        (["--scale", "per cent"], "--scale per cent: give auto, percent or fraction"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    (tmp_path / "t.csv").write_text(_TABLE)
    assert _call(monkeypatch, "import", str(tmp_path / "t.csv"), "--out", str(tmp_path / "out"), *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
