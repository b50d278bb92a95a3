"""Classification of a text or of a pair of texts: inference, paraphrase, topic."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from raystilts.errors import UserError, did_you_mean
from raystilts.metrics import classification
from raystilts.tasks.encoding import Longs
from raystilts.tasks.types.base import Head
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
from raystilts.tasks.types.one_of_several import OneOfSeveral
from raystilts.tasks.types.text_pair import TextPair


class SequenceClassification(OneOfSeveral, TextPair):
    """One class for each text or pair.

    Attributes:
        label: Column of the class: its name, or its index (as a number or a string) where no name is a number.
        labels: Names of the classes in the order of their indices.
        positive: The class whose F1 is reported beside accuracy (paraphrase tasks), if any.
        averages: Metrics of `raystilts.metrics.classification.METRICS` that are reported too, such as `macro_f1`.
    """

    kind: Literal["classification"] = "classification"
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

    @property
    def version(self) -> int:
        """Higher where numbers among the names were once taken for indices."""
        return versioned(self.labels)

    @property
    def num_labels(self) -> int:
        """The number of classes."""
        return len(self.labels)

    def gold(self, rows: pa.Table) -> list[Any]:
        """The index of the label of every row."""
        table, allowed = label_table(self.labels), allowed_labels(self.labels)
        return index_labels(column(rows, self.label), table, self.label, allowed)

    def _labels(self, rows: pa.Table) -> Longs:
        return np.asarray(self.gold(rows), dtype=np.int64)

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
        gold = self.gold(rows)
        scores = {"accuracy": classification.accuracy(predictions, gold)}
        if self.positive is not None:
            mine = [int(p == self.positive) for p in predictions]
            theirs = [int(g == self.positive) for g in gold]
            scores["f1"] = classification.f1_binary(mine, theirs)
        for name in self.averages:
            scores[name] = classification.METRICS[name](predictions, gold)
        return scores

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank texts, and labels that are not the task's."""
        labels = label_faults(column(rows, self.label), label_table(self.labels), allowed_labels(self.labels))
        return text_faults(rows, self._texts()) + labels
