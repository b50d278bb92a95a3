"""The command line in this process: what it prints where, and its exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from raystilts.cli import main
from raystilts.study.schema import Study

STUDY = """
name: small
intermediates: [none, cldr_names]
targets: [{task: cldr_units, languages: [en, de]}, {task: cldr_match, languages: [de]}]
seeds: [0, 1]
"""

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command line in an empty folder that holds small.yaml; exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYSTILTS_DATA_DIR", raising=False)
    (tmp_path / "small.yaml").write_text(STUDY)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raystilts", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return run


def test_plan_for_programs(call: Call) -> None:
    code, out, err = call("plan", "small.yaml", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["cells"], found["stages"], found["missing"], found["in_ledger"]) == (7, 9, 9, 0)
    kinds = [found[f"{kind}_stages"] for kind in ("intermediate", "target", "retrieval")]
    assert kinds == [2, 4, 3]
    assert all(type(found[name]) is int for name in ("cells", "stages", "steps", "examples", "disk_bytes"))
    assert found["examples"] < found["examples_without_sharing"]
    assert found["cost"].keys() == {"hours", "low", "high", "basis", "price", "kwh"}
    assert found["verified"] is True
    assert found["overlap"] == []


def test_plan_for_people_trains_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("plan", "small.yaml", "--storage-path", "results")
    assert code == 0
    assert "9, each done once for all its cells: 2 intermediate, 4 target, 3 retrieval" in out
    assert call("run", "small.yaml", "--dry-run", "--storage-path", "results")[:2] == (0, out)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_plan_flags_shared_training_data(call: Call) -> None:
    sets = ["--set", "intermediates=[none, mnli, squad]", "--set", "targets=[xnli, xquad, mlqa]"]
    code, out, _ = call("plan", "small.yaml", "--json", *sets)
    found = json.loads(out)
    assert code == 0
    assert found["overlap"] == [["mnli", "xnli"], ["squad", "xquad"], ["squad", "mlqa"]]
    assert found["verified"] is False
    assert "xnli trains on the same data as mnli: shown" in call("plan", "small.yaml", *sets)[1]


def test_shipped_studies_go_by_name(call: Call) -> None:
    assert json.loads(call("plan", "quickstart", "--json")[1])["study"] == "quickstart"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "nope.yaml"], "nope.yaml: no such study file"),
        (["run", "small.yaml", "--set", "targets=[cldr_unit]"], "small.yaml: targets.0: task 'cldr_unit' is unknown"),
        (["run", "small.yaml", "--set", "seeds"], "--set seeds: expected key.path=value"),
        (
            ["run", "small.yaml", "--set", "encoder.model_name_or_path=./no"],
            "encoder.model_name_or_path: ./no: no such",
        ),
        (["run", "small.yaml", "--set", "data_dir=nowhere"], "data_dir: nowhere: no such folder"),
        (["run", "small.yaml", "--storage-path", "small.yaml"], "small.yaml is a file; name a folder"),
        (["best", "nowhere"], "nowhere does not exist. Run a study first"),
        (["tasks", "show", "xnil"], "task 'xnil' is unknown; did you mean 'xnli'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_take_two_lines_at_most(call: Call, arguments: list[str], message: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("raystilts: ")
    assert message in err
    before = ("raystilts: reading ", "[")  # what a run says that it does
    assert len([line for line in err.splitlines() if not line.startswith(before)]) <= 2


def test_settings_that_nothing_reads(call: Call, tmp_path: Path) -> None:
    """Refused where the file has them by mistake; noted where `--set` has taken their task out of the study."""
    path = tmp_path / "small.yaml"
    path.write_text(STUDY + "hyperparameters: {tasks: {cldr_dates: {max_steps: 3}}}\n")
    for command in ("plan", "run"):
        code, out, err = call(command, "small.yaml")
        assert (code, out) == (2, "")
        assert "small.yaml: hyperparameters.tasks.cldr_dates: this study does not train 'cldr_dates'; leave it" in err
    code, _, err = call("plan", "small.yaml", "--set", "targets=[cldr_units]")
    assert (code, err) == (0, "note: hyperparameters.tasks: not trained in this study, and not used: cldr_dates\n")


def test_a_storage_path_of_any_letters(call: Call, tmp_path: Path) -> None:
    assert call("plan", "small.yaml", "--storage-path", "é 'x': 😀")[0] == 0
    study = Study.from_file(tmp_path / "small.yaml", ('storage_path="é 😀"',))
    assert study.storage_path == "é 😀"


def test_tasks(call: Call) -> None:
    code, out, _ = call("tasks", "list", "--json")
    tasks = {task["name"]: task for task in json.loads(out)}
    assert code == 0
    assert tasks["xnli"]["type"] == "classification"
    assert "cldr_units" in call("tasks", "list")[1]
    shown = call("tasks", "show", "xquad")[1]
    assert all(word in shown for word in ("xquad", "licence", "citation", "en"))


def test_help(call: Call) -> None:
    for arguments in ([], ["run", "--help"], ["best", "--help"]):
        assert "Usage" in "".join(call(*arguments)[1:])
