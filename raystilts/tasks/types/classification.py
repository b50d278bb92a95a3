"""Classification of a text or of a pair of texts: inference, paraphrase, topic."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from raystilts.errors import UserError, did_you_mean
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
        averages: Metrics of `raystilts.metrics.classification.METRICS` that are reported too, such as `macro_f1`.
    """

    kind: Literal["classification"] = "classification"
    text: str
    text_pair: str | None = None
    label: str = "label"
    labels: tuple[str, ...] = Field(min_length=2)
    positive: int | None = None
    # Left out of the definition where none is asked for, so that older keys still hold.
    averages: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    @field_validator("averages")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in classification.METRICS:
                raise ValueError(f"no such metric: {name!r}; {did_you_mean(name, classification.METRICS)}")
        return names

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
        """Accuracy, F1 where a class is the positive one, and the means that are asked for."""
        return ("accuracy", *(("f1",) if self.positive is not None else ()), *self.averages)

    @property
    def optional_metrics(self) -> tuple[str, ...]:
        """Metrics of one label an item that a study may ask for."""
        return tuple(classification.METRICS)

    def with_metric(self, metric: str) -> Self:
        """With a mean of the classes' F1 among the scores, if it is one of these."""
        if metric in self.metrics:
            return self
        if metric not in self.optional_metrics:
            raise UserError(f"metric: no {metric!r}; {did_you_mean(metric, [*self.metrics, *self.optional_metrics])}")
        return self.model_copy(update={"averages": (*self.averages, metric)})

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Accuracy, and the F1 of the `positive` class where the task names one."""
        gold = self._gold(rows)
        scores = {"accuracy": classification.accuracy(predictions, gold)}
        if self.positive is not None:
            mine = [int(p == self.positive) for p in predictions]
            theirs = [int(g == self.positive) for g in gold]
            scores["f1"] = classification.f1_binary(mine, theirs)
        for name in self.averages:
            scores[name] = classification.METRICS[name](predictions, gold)
        return scores

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """Right or wrong."""
        return [float(p == g) for p, g in zip(predictions, self._gold(rows), strict=True)]

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank texts, and labels that are not the task's."""
        labels = label_faults(column(rows, self.label), label_table(self.labels), allowed_labels(self.labels))
        return text_faults(rows, self._texts()) + labels
