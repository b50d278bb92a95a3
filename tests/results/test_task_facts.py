"""What a folder says of its tasks is believed; without it the catalogue is asked, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raystilts.filesystem import open_folder
from raystilts.results.ledger import write_attempt
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results
from raystilts.results.task_facts import KnownTasks, SharedRows, TaskFacts, read_tasks, write_tasks

from .rows import run_row, score_rows, write

MINE: dict[str, Any] = {
    "type": "classification", "main_score": "accuracy", "languages": ["de", "fr"], "dev_languages": ["de"],
    "train_languages": ["de"], "trains": True, "train_data": ["my_data", "train"], "rows": 120,
}  # fmt: skip


def _write(folder: Path, **tasks: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "tasks.json").write_text(json.dumps({"version": 1, "tasks": tasks}))


def test_tasks_that_nobody_here_knows_are_read_from_the_folder(tmp_path: Path) -> None:
    _write(tmp_path, mine=MINE, yours=MINE | {"train_data": ["other", "train"]}, same=MINE)
    known = read_tasks(open_folder(tmp_path), None)
    assert known.train_language("mine") == "de"
    arms = {"yours": False, "same": True, "yours+same": True, "none": False}
    assert {name: known.overlaps(name, "mine") for name in arms} == arms
    assert known.get("mine") == TaskFacts(
        "classification", "accuracy", ("de", "fr"), ("de",), ("de",), True, ("my_data", "train"), 120
    )


def test_dev_in_the_training_language_chooses(tmp_path: Path) -> None:
    """English dev scores say the opposite of German ones, and the task trains in German."""
    _write(tmp_path, mine=MINE)
    for arm, german, english in (("none", 0.5, 0.9), ("mnli", 0.8, 0.6)):
        for seed in (0, 1, 2):
            run = run_row(f"{arm}{seed}", intermediate=arm, target="mine", seed=seed)
            dev = score_rows(run, {"de": german + seed / 1000, "en": english}, split="dev")
            write_attempt(tmp_path, run, [*dev, *score_rows(run, {"de": german, "en": english})])
    [answer] = Results(tmp_path).answers()
    assert answer.best == ("mnli",)


def test_arms_that_overlap_by_the_folder_do_not_compete(tmp_path: Path) -> None:
    _write(tmp_path, mine=MINE, same=MINE)
    for arm, score in (("none", 0.5), ("same", 0.9)):
        for seed in (0, 1):
            write(tmp_path, f"{arm}{seed}", {"de": score + seed / 100}, intermediate=arm, target="mine", seed=seed)
    [answer] = Results(tmp_path).answers()
    assert {arm.intermediate: (arm.overlap, arm.competes) for arm in answer.arms} == {
        "none": (False, True),
        "same": (True, False),
    }


def test_what_test_data_shares_is_said_in_every_answer(tmp_path: Path) -> None:
    train = {"split": "train", "language": "de", "items": 3, "texts": 523, "rows": 1000}
    dev = {"split": "dev", "language": "de", "items": 7, "texts": 0, "rows": 1000}
    other = {"split": "dev", "language": "fr", "items": 9, "texts": 0, "rows": 1000}
    _write(tmp_path, mine=MINE | {"shared": [train, dev, other]})
    for seed in (0, 1):
        write(tmp_path, f"none{seed}", {"de": 0.5 + seed / 100}, intermediate="none", target="mine", seed=seed)
    [answer] = Results(tmp_path).answers()
    assert answer.notes[-3:] == (
        "3 of 1,000 de test items are in its training data too",
        "523 of 1,000 de test items hold a text of its training data",
        "7 of 1,000 de test items are in its dev data too",
    )


def test_a_folder_without_facts_asks_the_catalogue(tmp_path: Path) -> None:
    known = read_tasks(open_folder(tmp_path), None)
    assert known.overlaps("mnli", "xnli")
    assert not known.overlaps("squad", "xnli")
    assert known.train_language("nobody_knows") == "en"
    assert known.get("nobody_knows") is None


def test_facts_of_the_folder_come_before_the_catalogue() -> None:
    other = TaskFacts.from_json(MINE)
    assert not KnownTasks({"xnli": other}, None).overlaps("mnli", "xnli")


def test_fields_of_a_newer_version_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, mine=MINE | {"colour": "green"})
    assert read_tasks(open_folder(tmp_path), None).train_language("mine") == "de"


@pytest.mark.parametrize("text", ["{", "[]", '{"tasks": 3}', '{"tasks": {"mine": {}}}', '{"tasks": {"mine": []}}'])
def test_a_damaged_file_is_said_and_the_catalogue_asked(tmp_path: Path, text: str) -> None:
    (tmp_path / "tasks.json").write_text(text)
    with pytest.warns(ResultsWarning, match=r"tasks\.json cannot be read"):
        known = read_tasks(open_folder(tmp_path), None)
    assert known.overlaps("mnli", "xnli")


def test_facts_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    shared: dict[str, Any] = {"split": "train", "language": "en", "items": 12, "texts": 0, "rows": 300}
    write_tasks(folder, {"mine": MINE | {"shared": [shared]}})
    write_tasks(folder, {"yours": MINE | {"rows": 7}})
    known = read_tasks(folder, None)
    mine = known.get("mine")
    assert mine is not None
    assert mine.shared == (SharedRows(**shared),)
    assert [task and task.rows for task in (known.get("mine"), known.get("yours"))] == [120, 7]
