"""What a run keeps beside its tables, so that they can be read anywhere, without the study's other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts.filesystem import open_folder
from raystilts.planning import dev_test
from raystilts.planning.cost import results_folder
from raystilts.planning.resolve import resolve
from raystilts.results.results import Results
from raystilts.results.task_facts import read_tasks
from raystilts.scheduling.driver import write_study
from raystilts.tasks import registry
from raystilts.tasks.registry import get_task

from .examples import study

LETTERS = """
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
TRAIN = Source(dataset="letters", split="train")
TASK = Task(
    name="letters", type=SequenceClassification(text="text", label="label", labels=("no", "yes")), train=TRAIN,
    dev=TRAIN.other("dev"), test=TRAIN.other("test"), languages=("en",), dev_languages=("en",), main_score="accuracy",
    description="A task of its own.", licence="none", citation="none", url="https://example.org",
)
"""


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


def test_rows_are_compared_once_for_the_same_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test rows are those of the training data: all of them are shared."""
    data = tmp_path / "data" / "letters" / "en"
    data.mkdir(parents=True)
    file = tmp_path / "letters.py"
    file.write_text(LETTERS)

    def rows(split: str, numbers: range) -> None:
        texts = [f"text {number}" for number in numbers]
        pq.write_table(pa.table({"text": texts, "label": [n % 2 for n in numbers]}), data / f"{split}.parquet")

    def shared() -> list[tuple[str, int]]:
        one = study(tmp_path, intermediates=["none", "cldr_units"], targets=["letters"], task_files=[str(file)],
                    data_dir=str(tmp_path / "data"))  # fmt: skip
        write_study(results_folder(one), resolve(one))
        found = read_tasks(open_folder(results_folder(one)), one).get("letters")
        assert found is not None
        return [(one.split, one.items) for one in found.shared]

    for split, numbers in (("train", range(20)), ("dev", range(100, 120)), ("test", range(20))):
        rows(split, numbers)
    compared: list[object] = []
    count = dev_test._shared.__wrapped__

    def counted(*given: Any) -> tuple[int, int, int]:
        compared.append(given)
        return count(*given)

    monkeypatch.setattr(dev_test, "_shared", counted)
    assert shared() == [("train", 20)]
    assert len(compared) == 2
    assert shared() == [("train", 20)]
    assert len(compared) == 2, "the same data are compared again"
    rows("test", range(5, 25))
    assert shared() == [("train", 15)]
    assert len(compared) == 4
    del registry._TASKS["letters"]


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_damaged_study_is_replaced(tmp_path: Path, text: str) -> None:
    one = study(tmp_path)
    open_folder(results_folder(one)).write("study.json", text.encode(), overwrite=True)
    write_study(results_folder(one), resolve(one))
    assert Results(results_folder(one)).study() == one
