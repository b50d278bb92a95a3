"""A target whose dev and test share items is refused, by content and whatever the files are called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raystilts import Study, plan
from raystilts.errors import UserError
from raystilts.planning.dev_test import shared_rows
from raystilts.planning.resolve import resolve
from raystilts.tasks import registry
from raystilts.tasks.loading import is_here
from raystilts.tasks.overlap import items, shared_items, too_many
from raystilts.tasks.registry import all_tasks, get_task, register
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.classification import SequenceClassification

TRAIN = Source(dataset="mine", split="train")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """A study of a task with 1,000 train, 300 dev and 300 test items, none of them twice."""
    all_tasks()
    before = dict(registry._TASKS)
    register(
        Task(
            name="mine", type=SequenceClassification(text="text", labels=("no", "yes")), train=TRAIN,
            dev=TRAIN.other("validation"), test=TRAIN.other("test"), languages=("en",), dev_languages=("en",),
            main_score="accuracy", description="d", licence="l", citation="c", url="https://example.org",
        )
    )  # fmt: skip
    for split, start, number in (("train", 0, 1000), ("validation", 1000, 300), ("test", 2000, 300)):
        write(tmp_path, split, range(start, start + number))
    yield Study(
        name="s", intermediates=["none"], targets=["mine"], seeds=[0], data_dir=str(tmp_path),
        storage_path=str(tmp_path / "results"),
    )  # fmt: skip
    registry._TASKS.clear()
    registry._TASKS.update(before)


def write(folder: Path, split: str, numbers: object) -> None:
    path = folder / "mine" / "en" / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [f"text {number}" for number in numbers]  # type: ignore[attr-defined]
    pq.write_table(pa.table({"text": texts, "label": [i % 2 for i in range(len(texts))]}), path)


def test_splits_of_their_own_are_planned(study: Study) -> None:
    assert plan(study).cells


@pytest.mark.parametrize("shared", [26, 300])
def test_items_in_common_are_refused_in_whatever_order(study: Study, tmp_path: Path, shared: int) -> None:
    write(tmp_path, "test", [*range(3000, 3300 - shared), *reversed(range(1000, 1000 + shared))])
    with pytest.raises(UserError, match=rf"^targets\.0 \(mine\): {shared} of 300 en test items are its dev items too"):
        plan(study)


def test_a_few_are_chance(study: Study, tmp_path: Path) -> None:
    write(tmp_path, "test", [*range(3000, 3275), *range(1000, 1025)])
    assert plan(study).cells


def test_what_test_data_shares_is_counted_for_the_answers(study: Study, tmp_path: Path) -> None:
    [target] = resolve(study).targets
    assert shared_rows(target, tmp_path) == []
    write(tmp_path, "test", [*range(3000, 3263), *range(1000, 1025), *range(12)])
    assert shared_rows(target, tmp_path) == [
        {"split": "train", "language": "en", "items": 12, "texts": 0, "rows": 300},
        {"split": "dev", "language": "en", "items": 25, "texts": 0, "rows": 300},
    ]


def test_sentences_of_the_training_data_in_other_pairs(data_dir: Path) -> None:
    one = Study(name="s", intermediates=["none"], targets=["pawsx"], seeds=[0], data_dir=str(data_dir))
    [target] = resolve(one).targets
    found = {(row["split"], row["language"]): row for row in shared_rows(target, data_dir)}
    assert found["train", "en"]["texts"] == 523
    assert found["train", "en"]["rows"] == 1000


@pytest.mark.parametrize("name", [name for name, task in all_tasks().items() if isinstance(task.dev, Source)])
def test_no_task_of_the_catalogue_shares_dev_and_test_items(name: str, data_dir: Path) -> None:
    task = get_task(name)
    if task.test is None or task.dev is None:
        pytest.skip(f"{name} has no test data")
    for language in set(task.dev_languages) & set(task.languages):
        if not all(is_here(source, language, data_dir) for source in (task.dev, task.test)):
            continue
        dev, test = (task.load_split(split, language, data_dir) for split in ("dev", "test"))
        assert not too_many(len(shared_items(task, items(task, dev), test)), test.num_rows), language


@pytest.mark.parametrize("name", ["commonsense_qa", "cosmos_qa", "hellaswag", "litl_nli", "mnli", "rte", "squad"])
def test_dev_is_cut_from_train_by_item(name: str, data_dir: Path) -> None:
    task = get_task(name)
    train, dev, test = task.load_train(data_dir), task.load_dev("en", data_dir), task.load_test("en", data_dir)
    assert isinstance(task.train, Source)
    assert task.train.carve is not None
    (by,) = task.train.carve.by
    assert not {*train[by].to_pylist()} & {*dev[by].to_pylist()}
    assert 0.01 < dev.num_rows / (train.num_rows + dev.num_rows) < 0.15
    assert not shared_items(task, items(task, dev), test)


def test_a_target_may_have_another_metric(study: Study) -> None:
    def keys(metric: str | None) -> set[str]:
        targets = [{"task": "mine", "metric": metric} if metric else "mine"]
        return {*plan(Study.model_validate({**study.model_dump(), "targets": targets})).stages}

    assert keys(None) == keys("accuracy")
    assert keys("macro_f1").isdisjoint(keys("accuracy"))
    with pytest.raises(UserError, match=r"targets\.0\.metric: mine: metric: no 'bleu'; known: accuracy, macro_f1"):
        keys("bleu")
