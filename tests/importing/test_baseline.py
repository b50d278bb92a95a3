"""The baseline of a table is called as the user named it, in everything that people read."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from raystilts import cli
from raystilts.results.results import Results

SCORES = {"qnli": 60, "mnli": 70, "squad": 61}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["raystilts", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert not left.value.code


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    lines = [
        f"{arm},{target},{seed},{language},{value + seed * (2 if arm == 'mnli' else 1) + (language == 'de')}"
        for arm, value in SCORES.items() for target in ("rte", "wnli") for seed in range(3) for language in ("de", "en")
    ]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join(["intermediate,target,seed,language,accuracy", *lines]) + "\n")
    call(monkeypatch, "import", tmp_path / "t.csv", "--out", tmp_path / "out", "--baseline", "qnli")
    capsys.readouterr()
    return tmp_path / "out"


@pytest.mark.parametrize(
    "command",
    [
        ["best"], ["best", "--overall"], ["matrix"], ["matrix", "--value", "score"], ["matrix", "--csv"],
        ["analyze", "gains"], ["next"],
    ],
)  # fmt: skip
def test_commands(
    results: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = command[:2] if command[0] == "analyze" else command[:1]
    monkeypatch.setattr(sys, "argv", ["raystilts", *named, str(results), *command[len(named) :]])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().out
    assert not re.search(r"\bnone\b|no intermediate task", said.replace("No intermediate task helps", "")), said
    if command != ["matrix", "--csv"]:
        assert "qnli" in said or command == ["next"], said


def test_tables_with_baselines_of_their_own_have_no_common_name(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured against another baseline is not renamed by a later import."""
    rows = [f"{arm},sst2,{seed},en,{value}" for arm, value in (("mrpc", 50), ("mnli", 55)) for seed in range(2)]
    (tmp_path / "other.csv").write_text("\n".join(["intermediate,target,seed,language,accuracy", *rows]) + "\n")
    assert {answer.baseline for answer in Results(results).answers()} == {"qnli"}
    call(monkeypatch, "import", tmp_path / "other.csv", "--out", results, "--baseline", "mrpc")
    assert {answer.baseline for answer in Results(results).answers()} == {"none"}


def test_the_page(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, "report", results, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    words = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    assert "Gains over qnli" in words
    assert not re.findall(r".{30}\bnone\b.{30}", words)


def test_programs_find_none_as_before_and_its_name(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, "best", results, "--json")
    arms = json.loads(capsys.readouterr().out)
    assert {arm["intermediate"] for arm in arms} == {"none", "mnli", "squad"}
    assert {arm["baseline"] for arm in arms} == {"qnli"}
    assert Results(results).baseline == "qnli"
    [answer] = Results(results).answers("rte")
    assert answer.best == ("mnli",)


def test_a_leading_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{arm},rte,{seed},{value + seed}" for arm, value in {"qnli": 80, "mnli": 60}.items() for seed in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["intermediate,target,seed,accuracy", *lines]) + "\n")
    call(monkeypatch, "import", tmp_path / "t.csv", "--out", tmp_path / "out", "--baseline", "qnli")
    call(monkeypatch, "best", tmp_path / "out")
    assert "No intermediate task helps here: the baseline, qnli, is best." in capsys.readouterr().out
