"""Classification of a text or of a pair of texts: inference, paraphrase, topic."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.metrics import classification
from raystilts.tasks.encoding import Features, Floats, Outputs, Tokenizer, encode_texts
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import (
    Fault,
    allowed_labels,
    column,
    index_labels,
    label_faults,
    label_table,
    text_faults,
    versioned,
)


class SequenceClassification(TaskType):
    """One class for each text or pair.

    Attributes:
        text: Column of the (first) text.
        text_pair: Column of the second text, if there is one.
        label: Column of the class: its name, or its index (as a number or a string) where no name is a number.
        labels: Names of the classes in the order of their indices.
        positive: The class whose F1 is reported beside accuracy (paraphrase tasks), if any.
    """

    kind: Literal["classification"] = "classification"
    text: str
    text_pair: str | None = None
    label: str = "label"
    labels: tuple[str, ...] = Field(min_length=2)
    positive: int | None = None

    head: ClassVar[Head] = "sequence"
    default_max_length: ClassVar[int] = 128
    tokens_per_row: ClassVar[int] = 45

    def columns(self) -> tuple[str, ...]:
        """The text columns and the label column."""
        return (*self._texts(), self.label)

    def text_columns(self) -> tuple[str, ...]:
        """The sentences of a pair; a single text is the item itself."""
        return () if self.text_pair is None else self._texts()

    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def version(self) -> int:
        """Higher where numbers among the names were once taken for indices."""
        return versioned(self.labels)

    @property
    def num_labels(self) -> int:
        """The number of classes."""
        return len(self.labels)

    def _gold(self, rows: pa.Table) -> list[int]:
        table, allowed = label_table(self.labels), allowed_labels(self.labels)
        return index_labels(column(rows, self.label), table, self.label, allowed)

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """One sequence a row; the longer text of a pair is truncated first. Labels have shape
        [rows]."""
        self.require(rows)
        second = None if self.text_pair is None else column(rows, self.text_pair)
        ids, types = encode_texts(tokenizer, column(rows, self.text), second, max_length=max_length)
        return Features(
            input_ids=ids,
            example=np.arange(rows.num_rows, dtype=np.int64),
            num_examples=rows.num_rows,
            token_type_ids=types,
            labels=np.asarray(self._gold(rows), dtype=np.int64),
        )

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The index of the class with the highest logit, one a row."""
        return cast(list[Any], np.argmax(cast(Floats, outputs), axis=1).tolist())

    def gold(self, rows: pa.Table) -> list[Any]:
        """The index of the label of every row."""
        return self._gold(rows)

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """Each label for every row."""
        return [[label] * rows.num_rows for label in range(self.num_labels)]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Accuracy, and F1 where a class is the positive one."""
        return ("accuracy",) if self.positive is None else ("accuracy", "f1")

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Accuracy, and the F1 of the `positive` class where the task names one."""
        gold = self._gold(rows)
        scores = {"accuracy": classification.accuracy(predictions, gold)}
        if self.positive is not None:
            mine = [int(p == self.positive) for p in predictions]
            theirs = [int(g == self.positive) for g in gold]
            scores["f1"] = classification.f1_binary(mine, theirs)
        return scores

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank texts, and labels that are not the task's."""
        labels = label_faults(column(rows, self.label), label_table(self.labels), allowed_labels(self.labels))
        return text_faults(rows, self._texts()) + labels
