"""What every task must keep to: a test-suite for a task of one's own, in one line.

In a test file::

    from raystilts.testing.tasks import task_contract

    from my_tasks import TASK

    test_my_task = task_contract(TASK)

makes a pytest test of each clause. Data is read as a study reads it (`RAYSTILTS_DATA_DIR`, else the hub); where it is
not at hand, a few rows of the published form stand in: ``task_contract(TASK, examples={"train": rows, "test": rows})``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raystilts.errors import UserError
from raystilts.tasks.check import SplitName, declared
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.loading import is_here
from raystilts.tasks.source import Generated
from raystilts.tasks.task import Task
from raystilts.tasks.types.masked_lm import MaskedLM
from raystilts.tasks.types.regression import Regression
from raystilts.tasks.types.span_qa import SpanQA

#: Rows by split (train, dev, test, pool), in the published form: what the task's source reads, before any conversion.
Examples = Mapping[str, pa.Table]

#: Rows of each language that are looked at, and that are tokenised; and the longest sequence made of them.
ROWS, TOKENISED, LENGTH = 60, 12, 96


class ContractError(AssertionError):
    """A clause of the contract that a task does not keep."""


Clause = Callable[[Task, "Rows"], None]


class Rows:
    """The rows that a task is tested on.

    Args:
        task: The task.
        data_dir: The data folder; None for `RAYSTILTS_DATA_DIR`, or else the hub.
        examples: Rows to take instead of reading any.
    """

    def __init__(self, task: Task, data_dir: Path | None, examples: Examples | None) -> None:
        self.task, self.data_dir, self.examples = task, data_dir, examples
        self._read: list[tuple[SplitName, str, pa.Table]] | None = None

    def __iter__(self) -> Iterator[tuple[SplitName, str, pa.Table]]:
        """Split, language and a sample of the rows of whatever is here; read once."""
        if self._read is None:
            self._read = list(self._look())
        return iter(self._read)

    def _look(self) -> Iterator[tuple[SplitName, str, pa.Table]]:
        for split, source, language in declared(self.task):
            if self.examples is not None:
                if split in self.examples:
                    yield split, language, self._converted(split, language)
            elif is_here(source, language, self.data_dir):
                reading = self.task.read_train if split == "train" else partial(self.task.read_split, split)
                yield split, language, self.task.type.sample(reading(language, self.data_dir).table, ROWS)

    def _converted(self, split: SplitName, language: str) -> pa.Table:
        from raystilts.tasks.converters import get_converter

        assert self.examples is not None
        source = {name: one for name, one, _ in declared(self.task)}[split]
        if isinstance(source, Generated) or source.converter is None:
            return self.task.type.normal(self.examples[split])
        return self.task.type.normal(get_converter(source.converter)(self.examples[split], language))


def says_what_it_is(task: Task, rows: Rows) -> None:
    """Description, licence, citation and home page; a main score that its type gives; languages that stand once."""
    told = task.description and task.licence and task.citation
    _require(told, "description, licence and citation must say something")
    _require(task.url.startswith("http"), f"url {task.url!r} is no address")
    known = task.type.metrics
    _require(task.main_score in known, f"main_score {task.main_score!r} is not among {', '.join(known)}")
    for name in ("languages", "dev_languages"):
        given = getattr(task, name)
        _require(len(set(given)) == len(given), f"{name}: a language stands twice")
    if task.requires_training:
        _require(task.train is not None, "there is no training data, and its type needs some")
        picks = task.dev is None or set(task.train_languages) & set(task.dev_languages)
        _require(picks, f"dev_languages lack the training language {task.train_language!r}, which picks checkpoints")


def survives_json(task: Task, rows: Rows) -> None:
    """The definition can be written down and read again."""
    _require(Task.model_validate_json(task.model_dump_json()) == task, "the task is another one after JSON")


def rows_are_in_order(task: Task, rows: Rows) -> None:
    """The type finds no fault with any rows, and there are some."""
    seen = 0
    for split, language, table in rows:
        faults = list(map(str, task.type.check(table, language)))
        _require(not faults, f"{split} {language}: {'; '.join(faults)}")
        seen += table.num_rows
    _require(seen > 0, "no rows here: set RAYSTILTS_DATA_DIR, or give examples={...}")


def features_fit(task: Task, rows: Rows) -> None:
    """Every row becomes at least one sequence, none too long; what is trained on has labels."""
    for split, language, table in rows:
        training = split == "train"
        if isinstance(task.type, MaskedLM) and not training:
            continue
        table = task.type.sample(table, TOKENISED)
        features = task.type.encode(table, _tokenizer(), max_length=LENGTH, training=training)
        longest = int(features.input_ids.lengths.max())
        _require(0 < longest <= LENGTH, f"{split} {language}: a sequence of {longest} tokens, of {LENGTH} allowed")
        _require(bool(np.all(np.diff(features.example) >= 0)), f"{split} {language}: features are not in order")
        found = set(features.example.tolist())
        _require(found == set(range(features.num_examples)), f"{split} {language}: a row has no sequence")
        _require(not training or _labelled(task, features), f"{split} {language}: no labels to train on")


def gold_scores_one(task: Task, rows: Rows) -> None:
    """Gold answers as predictions get 1 in every language.

    Left out are answers that the benchmark's normaliser leaves nothing of ("una" in Spanish): its script gives them
    an F1 of 0.
    """
    for split, language, whole in _scored(task, rows):
        table = whole.filter(pa.array(_comparable(task, whole, language)))
        found = task.type.score(task.type.gold(table), table, language)[task.main_score]
        _require(found == 1.0, f"{split} {language}: gold as prediction scores {found}")


def shuffled_scores_less(task: Task, rows: Rows) -> None:
    """The same answers given to other rows score less."""
    for split, language, table in _scored(task, rows):
        gold = task.type.gold(table)
        mixed = shuffled(task, gold)
        if mixed == gold:  # too few rows, or all with one answer
            continue
        found = task.type.score(mixed, table, language)[task.main_score]
        _require(0.0 <= found < 1.0, f"{split} {language}: shuffled answers score {found}")


def outputs_become_gold(task: Task, rows: Rows) -> None:
    """What a sure and right model says is read as the gold answers (classes, numbers, choices and tags)."""
    if task.type.head not in ("sequence", "regression", "choice", "token"):
        return
    for split, language, whole in _scored(task, rows):
        table = task.type.sample(whole, TOKENISED)
        features = task.type.encode(table, _tokenizer(), max_length=LENGTH, training=False)
        found, gold = task.type.predict(_sure(task, features), features, table), task.type.gold(table)
        same = np.allclose(found, gold, rtol=1e-5) if isinstance(task.type, Regression) else found == gold
        _require(same, f"{split} {language}: the outputs of a perfect model are read wrongly")


def constants_score_less(task: Task, rows: Rows) -> None:
    """No answer that never looks at the text gets 1."""
    for split, language, table in _scored(task, rows):
        if len({repr(answer) for answer in task.type.gold(table)}) < 2:
            continue
        for guess in task.type.constant_predictions(table):
            found = task.type.score(guess, table, language)[task.main_score]
            _require(found < 1.0, f"{split} {language}: the same answer for every row scores {found}")


CLAUSES: tuple[Clause, ...] = (
    says_what_it_is,
    survives_json,
    rows_are_in_order,
    features_fit,
    gold_scores_one,
    shuffled_scores_less,
    outputs_become_gold,
    constants_score_less,
)


def check_contract(task: Task, data_dir: Path | None = None, examples: Examples | None = None) -> None:
    """Holds a task to every clause.

    Raises:
        ContractError: naming the task, the clause and what is wrong.
        UserError: data that is there, but cannot be read.
    """
    rows = Rows(task, data_dir, examples)
    for clause in CLAUSES:
        hold(clause, rows)


def hold(clause: Clause, rows: Rows) -> None:
    """Holds the task of some rows to one clause; raises as `check_contract`."""
    try:
        clause(rows.task, rows)
    except ContractError as broken:
        raise ContractError(f"task {rows.task.name!r}, {clause.__name__.replace('_', ' ')}: {broken}") from None


def task_contract(
    *tasks: Task, data_dir: Path | None = None, examples: Examples | None = None
) -> Callable[[Rows, Clause], None]:
    """A pytest test of every clause for every task; bind it to a name that begins with ``test``.

    Args:
        tasks: One or more tasks.
        data_dir: The data folder; None for `RAYSTILTS_DATA_DIR`, or else the hub.
        examples: Rows by split, instead of reading any.
    """
    import pytest

    if not tasks:
        raise UserError("task_contract: give at least one task")

    @pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
    @pytest.mark.parametrize("rows", [Rows(one, data_dir, examples) for one in tasks], ids=lambda rows: rows.task.name)
    def test(rows: Rows, clause: Clause) -> None:
        hold(clause, rows)

    return test


def shuffled(task: Task, gold: list[Any]) -> list[Any]:
    """Gold answers given to other rows, in an order that never changes; of the same shape."""
    draw = random.Random(0)
    kind = task.type.kind
    if kind == "tagging":
        flat = [tag for tags in gold for tag in tags]
        draw.shuffle(flat)
        rest = iter(flat)
        return [[next(rest) for _ in tags] for tags in gold]
    if kind == "mining":
        targets = [pair[1] for pair in gold]
        draw.shuffle(targets)
        return [[pair[0], target, 1.0] for pair, target in zip(gold, targets, strict=True)]
    if kind == "answer_retrieval":
        return [[place + draw.randint(1, 30) for place in places] for places in gold]
    mixed = list(gold)
    draw.shuffle(mixed)
    return mixed


def _scored(task: Task, rows: Rows) -> Iterator[tuple[SplitName, str, pa.Table]]:
    """Dev and test rows; the pool has nothing to score, and plain text only its own features know."""
    for split, language, table in rows:
        if split in ("dev", "test") and not isinstance(task.type, MaskedLM):
            yield split, language, table


def _comparable(task: Task, table: pa.Table, language: str) -> list[bool]:
    """Which rows have an answer that can match: in extractive reading, one that has a token."""
    if not isinstance(task.type, SpanQA):
        return [True] * table.num_rows
    return [not answer or bool(task.type.normalised(answer, language)) for answer in task.type.gold(table)]


def _sure(task: Task, features: Features) -> Any:
    """The outputs of a model that is certain of the labels."""
    if features.token_labels is not None:
        return Ragged(np.maximum(features.token_labels.values, 0), features.token_labels.offsets)
    assert features.labels is not None
    if isinstance(task.type, Regression):
        return features.labels[:, None]
    return np.eye(task.type.num_labels, dtype=np.float32)[features.labels]


def _labelled(task: Task, features: Features) -> bool:
    masked = isinstance(task.type, MaskedLM)  # the training loop masks anew at every step
    return masked or features.labels is not None or features.token_labels is not None


@cache
def _tokenizer() -> Any:
    """The embedded encoder's tokenizer."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(files("raystilts") / "encoders" / "mini" / "tokenizer.json"))


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise ContractError(otherwise)
