"""What every task type offers: how rows become features, and outputs predictions and scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.encoding import Features, Outputs, Tokenizer
from raystilts.tasks.splits import fixed_sample

Head = Literal["sequence", "choice", "span", "token", "embedding", "masked_lm"]

#: How many faults `check` names before it only counts.
_SHOWN = 5


class TaskType(BaseModel, ABC):
    """A kind of task: which columns it reads, which head it trains, how it is scored.

    Types are frozen values: two tasks of equal type treat equal rows equally. `version` goes up when the same fields
    come to mean something else, so that results of the two are never mixed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: ClassVar[Head]
    default_max_length: ClassVar[int]
    version: ClassVar[int] = 1
    #: Whether dev data chooses something for test data: then both are limited alike, or the choice would not fit.
    calibrates: ClassVar[bool] = False
    #: Rough sub-words a row, for plans made before the data is here.
    tokens_per_row: ClassVar[int]

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that rows must have."""

    @property
    def num_labels(self) -> int:
        """Outputs of the head: classes or tags; 0 where the head has a fixed size."""
        return 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores that every set of rows gets, by name."""
        return ("accuracy",)

    def item_columns(self) -> tuple[str, ...]:
        """The columns that make an item: all but the answer, which comes last."""
        return self.columns()[:-1]

    @abstractmethod
    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """Turns rows into sequences and labels; every row has at least one feature.

        Args:
            rows: A table with at least `columns()`.
            tokenizer: A fast tokenizer.
            max_length: The largest number of tokens in a sequence, special tokens included.
            training: Whether the features are to be trained on. What only predictions need
                (character offsets) is left out then.

        Raises:
            UserError: If a label is not one of the task's.
        """

    @abstractmethod
    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """Turns what the model says into one JSON-able prediction a row.

        Args:
            outputs: The model's outputs for all `features`.
            features: What `encode(..., training=False)` made of `rows`.
            rows: The same rows.
        """

    @abstractmethod
    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Scores predictions against the gold columns of `rows`: metric name to a value from 0 to
        1."""

    def predict_together(
        self, outputs: Sequence[Outputs], features: Sequence[Features], rows: Sequence[pa.Table]
    ) -> list[list[Any]]:
        """`predict` for several sets of rows: languages and splits that are scored at once.

        Types whose candidates are one pool over all of them search it here.
        """
        return [self.predict(*one) for one in zip(outputs, features, rows, strict=True)]

    def calibrated(self, predictions: list[Any], rows: pa.Table) -> Self:
        """The type with what is chosen on a language's dev data, for its test data; itself where nothing is."""
        return self

    def sample(self, rows: pa.Table, limit: int | None) -> pa.Table:
        """At most `limit` items, always the same ones, with whatever else their scoring needs."""
        return rows.take(pa.array(fixed_sample(rows.num_rows, limit)))

    def item_count(self, rows: pa.Table) -> int:
        """How many items a score of these rows is over."""
        return int(rows.num_rows)

    @abstractmethod
    def gold(self, rows: pa.Table) -> list[Any]:
        """What a perfect model predicts: `score` gives it 1."""

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """What one could predict who never looks at the text: the same answer for every row, each possible one.

        The best of their scores is what a model must beat; empty where no constant answer scores.
        """
        return []

    @abstractmethod
    def check(self, rows: pa.Table, language: str) -> list[str]:
        """What is wrong with the rows, in words; empty if they are fine."""


def column(rows: pa.Table, path: str) -> list[Any]:
    """A column as a Python list; ``"choices.text"`` reaches into a struct.

    Raises:
        UserError: If there is no such column.
    """
    name, *fields = path.split(".")
    if name not in rows.column_names:
        raise UserError(f"column {name!r} is missing; {did_you_mean(name, rows.column_names)}")
    array = rows.column(name).combine_chunks()
    for field in fields:
        if not pa.types.is_struct(array.type) or array.type.get_field_index(field) < 0:
            raise UserError(f"column {path!r}: {array.type} has no field {field!r}")
        array = array.field(field)
    return array.to_pylist()  # type: ignore[no-any-return]


def index_labels(values: list[Any], names: tuple[str, ...], what: str) -> list[int]:
    """Labels (indices, names, or digits as strings) to indices into `names`.

    Raises:
        UserError: Naming the first label that is none of these.
    """
    table: dict[Any, int] = {str(i): i for i in range(len(names))}
    table.update({name: i for i, name in enumerate(names)})
    table.update({i: i for i in range(len(names))})
    indices = [_look_up(value, table) for value in values]
    if -1 in indices:
        row = indices.index(-1)
        raise UserError(
            f"{what} of row {row}: {values[row]!r} is not a label; allowed: {', '.join(names)}, or 0 to "
            f"{len(names) - 1}. Drop such rows, or give the task all its labels"
        )
    return indices


def _look_up(value: Any, table: dict[Any, int]) -> int:
    """The index of a label, -1 if unknown; True and False are not labels although they hash like 1
    and 0."""
    return table.get(value, -1) if isinstance(value, (int, str)) and value is not True and value is not False else -1


def faults(kind: str, where: list[int]) -> list[str]:
    """One line for all rows with the same fault, or none."""
    if not where:
        return []
    shown = ", ".join(map(str, where[:_SHOWN])) + (", ..." if len(where) > _SHOWN else "")
    return [f"{kind} in {len(where)} row{'s' if len(where) > 1 else ''} ({shown})"]


def empty_texts(rows: pa.Table, columns: tuple[str, ...]) -> list[str]:
    """Faults for rows whose text is missing or blank."""
    found = []
    for name in columns:
        where = [i for i, text in enumerate(column(rows, name)) if not text or text.isspace()]
        found += faults(f"empty {name!r}", where)
    return found


def unknown_labels(values: list[Any], names: tuple[str, ...], what: str) -> list[str]:
    """Faults for labels that are not among `names` (nor an index of them)."""
    allowed = {*names, *map(str, range(len(names)))}
    return faults(f"unknown {what}", [i for i, v in enumerate(values) if str(v) not in allowed])
