"""Somebody else's results: opening them runs nothing, and nothing in them reaches the terminal or a spreadsheet raw."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from results.examples import write_results
from results.rows import run_row, score_rows, write

from raystilts.cli import main
from raystilts.results.ledger import write_attempt

Call = Callable[..., tuple[int, str, str]]
HOSTILE = "\x1b]0;owned\x07\x1b[2J[/b]"
READERS: list[tuple[str, ...]] = [
    ("best",), ("best", "--json"), ("best", "--overall"), ("matrix",), ("matrix", "--csv"), ("next",),
    ("benchmark", "--suite", "xnli"), ("compact",), ("analyze", "gains"), ("analyze", "intermediate-size"),
    ("analyze", "target-size"), ("report",),
]  # fmt: skip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    def run(command: tuple[str, ...], folder: Path) -> tuple[int, str, str]:
        words = list(command)
        words.insert(2 if words[0] == "analyze" else 1, str(folder))
        words += ["-o", str(tmp_path / "page.html")] if words[0] == "report" else []
        monkeypatch.setattr(sys, "argv", ["raystilts", *words])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def _with_task_file(folder: Path, ran: Path, **changes: Any) -> Path:
    """Results whose study names a task file, which leaves a trace when it is run."""
    file = folder / "tasks.py"
    write_results(folder, task_files=[str(file)], **changes)
    file.write_text(f"from pathlib import Path\nPath({str(ran)!r}).write_text('')\nTASKS = 1 / 0\n")
    return folder


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_no_reader_runs_a_task_file(call: Call, tmp_path: Path, command: tuple[str, ...]) -> None:
    folder, ran = _with_task_file(tmp_path / "results", tmp_path / "ran"), tmp_path / "ran"
    code, _, err = call(command, folder)
    assert (code, ran.exists()) == (0, False), err
    (folder / "tasks.py").unlink()
    code, _, err = call(command, folder)
    assert code == 0, err


@pytest.mark.parametrize("known", [True, False], ids=["tasks.json", "older"])
@pytest.mark.parametrize("command", [("best",), ("best", "--json"), ("report",)], ids=" ".join)
def test_no_reader_of_a_search_runs_a_task_file(
    call: Call, tmp_path: Path, command: tuple[str, ...], known: bool
) -> None:
    """Tasks that nobody here knows: what a trial is follows from the tables, and from tasks.json where it is there."""
    folder, ran = tmp_path / "results", tmp_path / "ran"
    search = {"space": {"learning_rate": {"loguniform": [1e-5, 1e-2]}}, "num_samples": 3}
    _with_task_file(folder, ran, intermediates=["none"], targets=["mine"], seeds=[0], search=search)
    facts = {"type": "classification", "main_score": "f1", "languages": ["de"], "dev_languages": ["de"],
             "train_languages": ["de"], "trains": True, "train_data": ["mine", "train"], "rows": 9}  # fmt: skip
    if known:
        (folder / "tasks.json").write_text(json.dumps({"version": 1, "tasks": {"mine": facts}}))
    for i, rate in enumerate((1e-4, 1e-3)):
        given = json.dumps({"learning_rate": rate})
        run = run_row(f"trial{i}", target="mine", study="small", seed=0, hyperparameters=given)
        write_attempt(folder, run, score_rows(run, {"de": 0.5 + i / 10}, split="dev", metric="f1"))
    code, out, err = call(command, folder)
    assert (code, ran.exists()) == (0, False), err
    if command == ("best", "--json"):
        [unit] = json.loads(out)
        assert (unit["name"], unit["metric"], unit["finished"]) == ("mine", "f1" if known else "accuracy", 2)
        assert unit["best"] == {"learning_rate": 1e-3}


def _with_a_broken_row(folder: Path) -> Path:
    write_results(folder)
    write(folder, "broken", {"en": 0.6, "de": 0.5}, intermediate="mnli", intermediate_fraction=1.0, seed=7,
          hyperparameters="{not JSON", versions="[]")  # fmt: skip
    return folder


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_row_with_broken_json_is_a_note(call: Call, tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = _with_a_broken_row(tmp_path / "results")
    code, out, err = call(command, folder)
    assert code == 0, err
    if command == ("best",):
        assert "note: the hyperparameters of mnli are no JSON object in some rows" in out


def _hostile(folder: Path) -> Path:
    """Names that a terminal obeys and a spreadsheet computes."""
    write_results(folder)
    for number, arm in enumerate((f"evil{HOSTILE}", "=1+1", "none")):
        for seed in (0, 1):
            score = 0.5 + seed / 100 + (arm != "none") / 10
            scores = {"en": score, f"de{HOSTILE}": score}
            write(folder, f"hostile{number}-{seed}", scores, intermediate=arm, target=f"t{HOSTILE}", seed=seed)
    return folder


@pytest.mark.parametrize("command", [one for one in READERS if one != ("benchmark", "--suite", "xnli")], ids=" ".join)
def test_terminal_escapes_are_shown_and_not_obeyed(call: Call, tmp_path: Path, command: tuple[str, ...]) -> None:
    code, out, err = call(command, _hostile(tmp_path / "results"))
    assert code in (0, 1, 2), err  # sizes of a target that study.json does not name are not known
    assert not [c for c in out + err if c < " " and c != "\n"]
    if command in (("best",), ("matrix",), ("analyze", "gains")):
        assert "evil?]0;owned??[2J[/b]" in out


def test_an_unknown_target_is_named_harmlessly(call: Call, tmp_path: Path) -> None:
    code, _, err = call(("best", "--target", HOSTILE), write_results(tmp_path / "results"))
    assert code == 2
    assert "\x1b" not in err


def test_cells_are_no_formulas(call: Call, tmp_path: Path) -> None:
    folder, file = _hostile(tmp_path / "results"), tmp_path / "gains.csv"
    rows = list(csv.reader(io.StringIO(call(("matrix", "--csv"), folder)[1])))
    assert [row[0] for row in rows if "1+1" in row[0]] == ["'=1+1"]
    assert call(("analyze", "gains", "--csv", str(file)), folder)[0] == 0
    names = {row["intermediate"] for row in csv.DictReader(file.open())}
    assert "'=1+1" in names
    assert not [name for name in names if name.startswith("=")]


def test_numbers_below_zero_stay_numbers(call: Call, tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results")
    for seed in (0, 1, 2):
        write(folder, f"worse{seed}", {"en": 0.3, "de": 0.2}, intermediate="rte", intermediate_fraction=1.0, seed=seed)
    rows = {row[0]: row for row in csv.reader(io.StringIO(call(("matrix", "--csv"), folder)[1]))}
    assert float(rows["rte"][1]) < -0.1




def test_domain_shift_asks_for_the_study_file(call: Call, tmp_path: Path) -> None:
    """It reads the texts of tasks, so tasks that only a task file defines are needed."""
    folder, ran = tmp_path / "results", tmp_path / "ran"
    code, _, err = call(("analyze", "domain-shift"), _with_task_file(folder, ran, targets=["mine"]))
    assert (code, ran.exists()) == (2, False)
    assert "which results do not run; give the study file instead" in err


def test_commands_that_run_task_files_name_them(call: Call, tmp_path: Path) -> None:
    file, study = tmp_path / "mine.py", tmp_path / "study.yaml"
    file.write_text("from raystilts.tasks.registry import get_task\nTASK = get_task('cldr_units')\n")
    study.write_text(f"name: s\nintermediates: [none]\ntargets: [cldr_units]\nseeds: [0]\ntask_files: [{file}]\n")
    code, _, err = call(("plan",), study)
    assert code == 0
    assert f"tasks from {file}" in err
