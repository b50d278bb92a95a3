from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from raystilts.errors import UserError
from raystilts.tasks.registry import get_task
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task, shares_training_data
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(dataset="set", split="train")
TASK = Task(
    name="mine",
    type=SequenceClassification(text="text", labels=("no", "yes")),
    train=TRAIN,
    dev=TRAIN.other("validation"),
    test=TRAIN.other("test"),
    languages=("en", "de"),
    dev_languages=("en",),
    main_score="accuracy",
    description="d",
    licence="l",
    citation="c",
    url="u",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, name in enumerate(("en/train", "sw/train", "hi/train", "en/validation", "de/test")):
        path = tmp_path / "set" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"text": [name], "label": [i % 2]}), path)
    return tmp_path


def test_loads_each_split(folder: Path) -> None:
    assert TASK.load_train(folder)["text"].to_pylist() == ["en/train"]
    assert TASK.load_dev("en", folder)["text"].to_pylist() == ["en/validation"]
    assert TASK.load_test("de", folder)["text"].to_pylist() == ["de/test"]
    assert TASK.split_fingerprint("dev", "en", folder).rows == TASK.split_fingerprint("test", "de", folder).rows == 1


def test_languages_without_data_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="task 'mine' has no dev data in 'de'; it has en"):
        TASK.load_dev("de", folder)
    with pytest.raises(UserError, match="task 'mine' has no test data in 'fr'; it has en, de"):
        TASK.split_fingerprint("test", "fr", folder)
    with pytest.raises(UserError, match="task 'tatoeba' has no training data"):
        get_task("tatoeba").load_train(folder)


def test_other_training_languages(folder: Path) -> None:
    other = TASK.in_language("sw+hi")
    assert other.name == "mine@sw+hi"
    assert other.load_train(folder)["text"].to_pylist() == ["sw/train", "hi/train"]
    assert len(other.train_fingerprint(folder)) == 2
    assert other.definition() != TASK.definition()
    assert shares_training_data(TASK, other)


def test_definition_is_json_and_leaves_words_out() -> None:
    text = json.dumps(TASK.definition(), sort_keys=True)
    renamed = TASK.model_copy(update={"name": "other", "description": "x", "languages": ("en",)})
    assert json.dumps(renamed.definition(), sort_keys=True) == text
    wider = TASK.model_copy(update={"type": SequenceClassification(text="text", labels=("yes", "no"))})
    assert wider.definition() != TASK.definition()


def test_task_survives_json() -> None:
    assert Task.model_validate_json(TASK.model_dump_json()) == TASK


def test_a_language_that_yaml_made_false_is_refused() -> None:
    with pytest.raises(ValidationError, match="write nb"):
        Task.model_validate({**TASK.model_dump(), "languages": ["en", False]})


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("mnli", "xnli", True),
        ("squad", "xquad", True),
        ("xquad", "mlqa", True),
        ("squad", "tydiqa", False),
        ("mnli", "snli", False),
        ("udpos", "panx", False),
        ("udpos", "masakhapos", True),
        ("squad", "tatoeba", False),
    ],
)
def test_shared_training_data(one: str, other: str, shared: bool) -> None:
    assert shares_training_data(get_task(one), get_task(other)) is shared


def test_requires_training() -> None:
    assert get_task("xnli").requires_training
    assert not get_task("tatoeba").requires_training
