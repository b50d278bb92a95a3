from __future__ import annotations

import ast
import csv
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raystilts.tasks import catalog
from raystilts.tasks.check import declared
from raystilts.tasks.languages import codes
from raystilts.tasks.loading import is_here
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.source import Source

PAPER = codes(
    "anli mnli snli qqp squad squad_v2 hellaswag ccg cosmos_qa commonsense_qa "
    "xnli pawsx udpos panx xquad mlqa tydiqa bucc2018 tatoeba"
)
BESIDE = codes(
    "social_i_qa scitail rte sick mrpc litl_nli mono xcopa lareqa mewsli_x afriqa masakhaner masakhapos sib200 "
    "indonli ocnli jnli klue_nli farstail kornli c_xnli myxnli bucc2018_sample"
)
#: What the published tables call a task, where it is not its name here.
OTHER_NAMES = {"mewslix": "mewsli_x"}
FILES = sorted(path for path in Path(catalog.__path__[0]).glob("*.py") if path.stem != "__init__")

#: Tasks of this catalogue, without those that are generated.
PUBLISHED = [task.name for task in all_tasks().values() if isinstance(task.test or task.train, Source)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_task_is_at_most_forty_lines(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Task":
            assert (node.end_lineno or 0) - node.lineno < 40


@pytest.mark.parametrize("name", [*PAPER, *BESIDE])
def test_tasks_of_the_paper_and_beside_it_are_defined(name: str) -> None:
    assert get_task(name).name == name


def test_every_language_of_xtreme_and_xtreme_r_is_declared(data_dir: Path) -> None:
    path = data_dir.parent / "published" / "xtreme_tasks.csv"
    if not path.is_file():
        pytest.skip(f"{path}: the published table is not here")
    with path.open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == 19
    for row in listed:
        task = get_task(OTHER_NAMES.get(row["task"], row["task"]))
        assert set(row["languages"].split()) <= set(task.languages), row


@pytest.mark.parametrize("name", PUBLISHED)
def test_words_and_bounds(name: str) -> None:
    task = get_task(name)
    assert all((task.description, task.licence, task.citation, task.url.startswith("https://")))
    assert len(set(task.languages)) == len(task.languages)
    assert task.train is not None or not task.requires_training
    assert task.dev is None or set(task.train_languages) & set(task.dev_languages) or not task.requires_training
    for source in (task.train, task.dev, task.test):
        assert source is None or source.rows or task.name in {"indonli", "ocnli", "kornli", "jnli", "klue_nli",
                                                              "c_xnli", "myxnli", "farstail"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(all_tasks()))
def test_what_is_read_from_elsewhere_stands_on_a_commit(name: str) -> None:
    for _, source, language in declared(get_task(name)):
        if isinstance(source, Source) and source.of(language).path:
            assert re.fullmatch("[0-9a-f]{40}", source.of(language).revision), source.of(language).path


def test_catalogue_imports_no_heavy_library() -> None:
    code = (
        "import sys; from raystilts.tasks.registry import all_tasks; all_tasks();"
        "print([m for m in ('torch', 'transformers', 'datasets', 'ray', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
    if task.dev is None or task.test is None:
        pytest.skip(f"{name} has no dev data")
    for language in set(task.dev_languages) & set(task.languages):
        if all(is_here(source, language, data_dir) for source in (task.dev, task.test)):
            dev, test = (task.split_fingerprint(split, language, data_dir) for split in ("dev", "test"))
            assert dev != test
