from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from raystilts.tasks import catalog
from raystilts.tasks.languages import codes
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.source import Source, folder_languages
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA
from raystilts.tasks.types.tagging import Tagging

PAPER = codes(
    "anli mnli snli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa "
    "xnli pawsx udpos panx xquad mlqa tydiqa tatoeba"
)
FILES = sorted(path for path in Path(catalog.__path__[0]).glob("*.py") if path.stem != "__init__")

#: Tasks of this catalogue, without those that are generated.
PUBLISHED = [task.name for task in all_tasks().values() if isinstance(task.test or task.train, Source)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_task_is_at_most_forty_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("name", PAPER)
def test_tasks_of_the_paper_are_defined(name: str) -> None:
    assert get_task(name).name == name


@pytest.mark.parametrize("name", PUBLISHED)
def test_words_and_bounds(name: str) -> None:
    task = get_task(name)
    assert all((task.description, task.licence, task.citation, task.url.startswith("https://")))
    assert len(set(task.languages)) == len(task.languages)
    assert task.train is not None or not task.requires_training
    assert task.dev is None or "en" in task.dev_languages
    for source in (task.train, task.dev, task.test):
        assert source is None or source.rows or task.name in {"indonli", "ocnli", "kornli", "jnli", "klue_nli",
                                                              "c_xnli", "myxnli", "farstail"}  # fmt: skip


def test_catalogue_imports_no_heavy_library() -> None:
    code = (
        "import sys; from raystilts.tasks.registry import all_tasks; all_tasks();"
        "print([m for m in ('torch', 'transformers', 'datasets', 'ray', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def gold(task: Task, rows: pa.Table, tokenizer: Any) -> list[Any]:
    """What a perfect model predicts."""
    if isinstance(task.type, SpanQA):
        return [(answer["text"] or [""])[0] for answer in rows[task.type.answers].to_pylist()]
    if isinstance(task.type, Tagging):
        return list(rows[task.type.tags].to_pylist())
    if task.type.head == "embedding":
        return list(range(rows.num_rows))
    labels = task.type.encode(rows, tokenizer, max_length=16, training=True).labels
    assert labels is not None
    return list(labels.tolist())


@pytest.mark.parametrize("name", [name for name in PUBLISHED if get_task(name).test is not None])
def test_gold_scores_one_in_every_language(name: str, data_dir: Path, tiny_tokenizer: Any) -> None:
    task = get_task(name)
    assert task.test is not None
    if not (isinstance(task.test, Source) and (data_dir / task.test.dataset).is_dir()):
        pytest.skip(f"{name} is not in the data folder")
    there = set(folder_languages(task.test, data_dir)) & set(task.languages)
    assert there
    for language in sorted(there):
        rows = task.load_test(language, data_dir).slice(0, 60)
        assert task.type.check(rows, language) == []
        predictions = gold(task, rows, tiny_tokenizer)
        assert task.type.score(predictions, rows, language)[task.main_score] == 1.0, language


@pytest.mark.parametrize("name", ["mnli", "pawsx", "hellaswag", "xquad", "tydiqa", "udpos", "panx", "sib200", "mono"])
def test_training_data_is_as_it_should_be(name: str, data_dir: Path, tiny_tokenizer: Any) -> None:
    task = get_task(name)
    rows = task.load_train(data_dir)
    (found,) = task.train_fingerprint(data_dir)
    assert (found.rows, found.verified) == (rows.num_rows, True)
    assert task.type.check(rows, "en") == []
    features = task.type.encode(rows.slice(0, 50), tiny_tokenizer, max_length=64, training=True)
    assert features.input_ids.lengths.max() <= 64


@pytest.mark.parametrize("name", ["xquad", "tydiqa"])
def test_carved_dev_shares_no_paragraph_with_train(name: str, data_dir: Path) -> None:
    task = get_task(name)
    train, dev = task.load_train(data_dir), task.load_dev("en", data_dir)
    assert not {*train["context"].to_pylist()} & {*dev["context"].to_pylist()}
    assert 0.02 < dev.num_rows / (train.num_rows + dev.num_rows) < 0.2


@pytest.mark.parametrize("name", PUBLISHED)
def test_dev_is_not_test_in_other_languages(name: str, data_dir: Path) -> None:
    task = get_task(name)
    for language in set(task.dev_languages) & set(task.languages) - {"en"}:
        assert task.dev_fingerprint(language, data_dir) != task.test_fingerprint(language, data_dir)
