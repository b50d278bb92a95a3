"""Tests of what all CLDR tasks share: coverage, splits, determinism, acceptable rows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module
from typing import Any

import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks import cldr
from raystilts.tasks.cldr.facts import SPLITS, Draws, check_split, share_out, split_of
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task

TRAINED = ("names", "units", "same", "dates", "choice", "span")
NAMES = (*TRAINED, "match")

#: One language a script, the worst covered ones among them.
SAMPLE = (
    "en",
    "de",
    "ru",
    "el",
    "ar",
    "he",
    "hi",
    "ta",
    "th",
    "my",
    "ka",
    "hy",
    "am",
    "zh",
    "ja",
    "ko",
    "sw",
    "ms",
)


def rows(name: str, language: str, split: str) -> pa.Table:
    """The rows of a task, straight from its generator."""
    table: pa.Table = import_module(f"raystilts.tasks.cldr.{name}").rows(language, split)
    return table


def task(name: str) -> Task:
    """The registered task."""
    return get_task(f"cldr_{name}")


@pytest.mark.parametrize("name", NAMES)
def test_has_thirty_languages_of_many_scripts(name: str) -> None:
    assert len(task(name).languages) >= 30
    assert task(name).languages == task(name).dev_languages
    assert {"ru", "el", "ar", "he", "hi", "th", "ka", "am", "zh", "ja", "ko"} <= set(
        task(name).languages
    )


@pytest.mark.parametrize("name", TRAINED)
def test_training_rows_are_accepted_and_as_many_as_declared(name: str) -> None:
    table = task(name).load_train(None)
    declared = task(name).train
    assert declared is not None
    assert table.num_rows == declared.rows
    assert task(name).type.check(table, "en") == []


@pytest.mark.parametrize("language", SAMPLE)
@pytest.mark.parametrize("name", NAMES)
def test_evaluation_rows_are_accepted_and_quick(name: str, language: str) -> None:
    if language not in task(name).languages:
        return
    begin = time.process_time()
    dev, test = task(name).load_dev(language, None), task(name).load_test(language, None)
    assert time.process_time() - begin < 2.0
    for table in (dev, test):
        assert 110 <= table.num_rows <= 260
        assert task(name).type.check(table, language) == []
        assert len({str(row) for row in table.to_pylist()}) == table.num_rows


@pytest.mark.parametrize("language", cldr.FOREIGN)
def test_every_language_has_enough_rows_in_every_task(language: str) -> None:
    sizes = {name: rows(name, language, "test").num_rows for name in NAMES}
    assert min(sizes.values()) >= 150, sizes


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_twice(name: str) -> None:
    assert rows(name, "hi", "test").equals(rows(name, "hi", "test"))


def test_rows_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib, importlib\n"
        f"for n in {NAMES}:\n"
        "    t = importlib.import_module('raystilts.tasks.cldr.' + n).rows('ja', 'validation')\n"
        "    print(n, hashlib.sha256(str(t.to_pylist()).encode()).hexdigest())"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(found[0].splitlines()) == len(NAMES)


@pytest.mark.parametrize("name", TRAINED)
def test_no_text_of_training_comes_back(name: str) -> None:
    seen = {str(row) for row in _questions(rows(name, "en", "train"))}
    for split in ("validation", "test"):
        assert not seen & {str(row) for row in _questions(rows(name, "en", split))}


def _questions(table: pa.Table) -> list[Any]:
    kept = [c for c in table.column_names if c not in ("id", "label", "tags", "answers", "kind")]
    listed: list[Any] = table.select(kept).to_pylist()
    return listed


@pytest.mark.parametrize("name", ["names", "units", "same", "choice"])
@pytest.mark.parametrize("language", SAMPLE)
def test_labels_are_balanced(name: str, language: str) -> None:
    for split in SPLITS if language == "en" else SPLITS[1:]:
        counts = Counter(rows(name, language, split).column("label").to_pylist())
        least = 0.2 if (name, language) == ("names", "ms") else 0.55
        assert min(counts.values()) >= least * max(counts.values()), (split, counts)


def test_an_item_has_one_split_and_shares_are_as_declared() -> None:
    counts = Counter(split_of("day", str(i)) for i in range(4000))
    assert 0.52 < counts["train"] / 4000 < 0.58
    assert 0.15 < counts["validation"] / 4000 < 0.21


def test_share_out_gives_each_split_an_item() -> None:
    parts = share_out("x", ("a", "b", "c", "d"))
    assert sorted(sum(parts.values(), ())) == ["a", "b", "c", "d"]
    assert min(len(part) for part in parts.values()) >= 1


def test_draws_are_those_of_every_python() -> None:
    draws = Draws("a", "b")
    assert draws.sample(range(5), 9) == Draws("a", "b").sample(range(5), 9)
    assert sorted(draws.sample(range(5), 9)) == [0, 1, 2, 3, 4]
    assert Draws("ab").below(10**6) != Draws("a", "b").below(10**6)


@pytest.mark.parametrize(("language", "split"), [("de", "train"), ("en", "dev"), ("qq", "test")])
def test_unknown_splits_and_languages_are_named(language: str, split: str) -> None:
    with pytest.raises(UserError, match=split if split != "test" else language):
        check_split(language, split)
