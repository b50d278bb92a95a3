"""Every registered task keeps the contract that ships in `raystilts.testing`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raystilts.tasks.check import declared
from raystilts.tasks.loading import is_here
from raystilts.tasks.registry import all_tasks
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification
from raystilts.testing.tasks import (
    CLAUSES,
    Clause,
    ContractError,
    Rows,
    check_contract,
    constants_score_less,
    hold,
    outputs_become_gold,
    shuffled,
    shuffled_scores_less,
    task_contract,
)

from .true_rows import TRUE_ROWS

TASKS = all_tasks()
READ = [task for task in TASKS.values() if isinstance(task.test or task.train, Source)]
MADE = [task for task in TASKS.values() if task not in READ]

ROWS = pa.table({"text": [f"text {i}" for i in range(9)], "label": [0, 1, 1] * 3})
TASK = Task(
    name="mine",
    type=SequenceClassification(text="text", labels=("no", "yes")),
    train=Source(dataset="mine", split="train"),
    dev=Source(dataset="mine", split="validation"),
    test=Source(dataset="mine", split="test"),
    languages=("en", "de"),
    dev_languages=("en",),
    main_score="accuracy",
    description="d",
    licence="l",
    citation="c",
    url="https://example.org",
)

# The one line that a user writes, with rows at hand and with rows of the published form.
test_a_users_task = task_contract(TASK, examples={"train": ROWS, "test": ROWS})
test_generated_tasks = task_contract(*(task.model_copy(update={"languages": task.languages[:4],
                                       "dev_languages": task.languages[:2]}) for task in MADE))  # fmt: skip


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("name", sorted(TRUE_ROWS))
def test_rows_of_the_published_form(name: str, clause: Clause) -> None:
    hold(clause, Rows(TASKS[name], None, TRUE_ROWS[name]))


@pytest.mark.parametrize("task", READ, ids=lambda task: task.name)
def test_the_tasks_whose_data_is_at_hand(task: Task, data_dir: Path) -> None:
    if not any(is_here(source, language, data_dir) for _, source, language in declared(task)):
        assert task.name in TRUE_ROWS
        pytest.skip(f"{task.name}: no data here")
    check_contract(task, data_dir)


@pytest.mark.parametrize(
    ("task", "rows", "said"),
    [
        (TASK.model_copy(update={"main_score": "f1"}), ROWS, "task 'mine', says what it is: main_score 'f1' is not"),
        (TASK.model_copy(update={"url": "home"}), ROWS, "url 'home' is no address"),
        (TASK.model_copy(update={"train": None}), ROWS, "there is no training data"),
        (TASK.model_copy(update={"dev_languages": ("de",)}), ROWS, "dev_languages lack the training language 'en'"),
        (TASK.model_copy(update={"languages": ("de", "de")}), ROWS, "languages: a language stands twice"),
        (TASK, ROWS.slice(0, 0), "rows are in order: no rows here"),
        (TASK, pa.table({"text": ["a", ""], "label": [0, 7]}), r"empty 'text' in 1 row \(1\); unknown label in 1 row"),
    ],
)
def test_what_breaks_the_contract_is_told(task: Task, rows: pa.Table, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        check_contract(task, examples={"test": rows})


class Upside(SequenceClassification):
    """Scores and reads wrongly."""

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        return {"accuracy": 1.0}

    def predict(self, outputs: Any, features: Any, rows: pa.Table) -> list[Any]:
        return [1] * rows.num_rows


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        (shuffled_scores_less, "shuffled answers score 1.0"),
        (outputs_become_gold, "are read wrongly"),
        (constants_score_less, "the same answer for every row scores 1.0"),
    ],
)
def test_a_type_that_is_wrong_is_found(clause: Clause, said: str) -> None:
    wrong = TASK.model_copy(update={"type": Upside(text="text", labels=("no", "yes"))})
    with pytest.raises(ContractError, match=said):
        hold(clause, Rows(wrong, None, {"test": ROWS}))


def test_shuffling_keeps_the_shape() -> None:
    tagged = shuffled(TASKS["udpos"], [["NOUN", "VERB"], ["X"], ["ADJ", "ADV", "NOUN"]])
    assert [len(tags) for tags in tagged] == [2, 1, 3]
    assert sorted(tag for tags in tagged for tag in tags) == ["ADJ", "ADV", "NOUN", "NOUN", "VERB", "X"]
    assert sorted(shuffled(TASKS["mnli"], [0, 1, 2, 2])) == [0, 1, 2, 2]
