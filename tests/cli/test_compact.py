from __future__ import annotations

from pathlib import Path

import pytest
from results.rows import write

from raystilts import cli
from raystilts.results.ledger import Ledger


def _compact(monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """The exit code of the command."""
    monkeypatch.setattr("sys.argv", ["raystilts", "compact", str(folder)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_compact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "a", {"en": 0.5, "de": 0.4})
    assert _compact(monkeypatch, tmp_path) == 0
    assert "1 runs with 2 scores merged, 2 files deleted" in capsys.readouterr().out
    assert not list((tmp_path / "runs").iterdir())
    assert [row.stage for row in Ledger(tmp_path).rows()] == ["a"]


def test_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _compact(monkeypatch, tmp_path / "none") == 2
    assert "no such results folder" in capsys.readouterr().err
