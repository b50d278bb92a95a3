"""What a run keeps beside its tables, so that they can be read anywhere, without the study's other files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raystilts.filesystem import open_folder
from raystilts.planning.cost import results_folder
from raystilts.planning.resolve import resolve
from raystilts.results.results import Results
from raystilts.results.task_facts import read_tasks
from raystilts.scheduling.driver import write_study
from raystilts.tasks import registry
from raystilts.tasks.registry import get_task

from .examples import study


def test_facts_of_every_task_stand_beside_the_tables(tmp_path: Path) -> None:
    one = study(tmp_path)
    write_study(results_folder(one), resolve(one))
    known = read_tasks(open_folder(results_folder(one)), one)
    units = known.get("cldr_units")
    assert units is not None
    task = get_task("cldr_units")
    assert (units.main_score, units.languages, units.trains) == (task.main_score, task.languages, True)
    assert [fact and fact.rows for fact in map(known.get, ("cldr_names", "cldr_units", "cldr_match"))] == [8, 8, None]
    assert Results(results_folder(one)).study() == one


def test_a_users_own_task_is_known_where_its_file_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from raystilts.tasks.registry import get_task\n"
        "TASK = get_task('cldr_units').model_copy(update={'name': 'mine', 'train_language': 'de'})\n"
    )
    changes = {"intermediates": ["none", "cldr_units"], "targets": ["mine"], "task_files": [str(file)]}
    one = study(tmp_path, **changes)
    write_study(results_folder(one), resolve(one))
    file.unlink()
    monkeypatch.delitem(registry._TASKS, "mine")
    known = Results(results_folder(one)).tasks()
    assert known.train_language("mine") == "de"
    assert known.overlaps("cldr_units", "mine")


def test_a_later_study_adds_its_tasks(tmp_path: Path) -> None:
    first, second = study(tmp_path), study(tmp_path, targets=["cldr_dates"])
    for one in (first, second):
        write_study(results_folder(one), resolve(one))
    tasks = json.loads(open_folder(results_folder(first)).read("tasks.json"))["tasks"]
    assert tasks.keys() == {"cldr_names", "cldr_units", "cldr_match", "cldr_dates"}


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_study_is_replaced(tmp_path: Path, text: str) -> None:
    one = study(tmp_path)
    open_folder(results_folder(one)).write("study.json", text.encode(), overwrite=True)
    write_study(results_folder(one), resolve(one))
    assert Results(results_folder(one)).study() == one
