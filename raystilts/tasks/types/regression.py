"""Regression of a text or of a pair of texts: how similar are two sentences (STS-B)?"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from raystilts.errors import UserError
from raystilts.metrics import regression
from raystilts.tasks.encoding import Features, Floats, Outputs, Tokenizer, encode_texts
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import Fault, column, faults, text_faults


class Regression(TaskType):
    """One number for each text or pair.

    Attributes:
        text: Column of the (first) text.
        text_pair: Column of the second text, if there is one.
        label: Column of the number: a number, or a text that is one.
        low: The lowest number that there is.
        high: The highest.
    """

    kind: Literal["regression"] = "regression"
    text: str
    text_pair: str | None = None
    label: str = "score"
    low: float = 0.0
    high: float = 1.0

    head: ClassVar[Head] = "regression"
    default_max_length: ClassVar[int] = 128
    tokens_per_row: ClassVar[int] = 45

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self

    def columns(self) -> tuple[str, ...]:
        """The text columns and the label column."""
        return (*self._texts(), self.label)

    def text_columns(self) -> tuple[str, ...]:
        """The sentences of a pair; a single text is the item itself."""
        return () if self.text_pair is None else self._texts()

    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def num_labels(self) -> int:
        """One number."""
        return 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Both correlations and their mean; a negative one counts as 0."""
        return ("pearson", "spearman", "pearson_spearman")

    @property
    def _allowed(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def gold(self, rows: pa.Table) -> list[Any]:
        """The number of every row, on the scale of the data."""
        values = column(rows, self.label)
        found = [_number(value) for value in values]
        for row, number in enumerate(found):
            if number is None or not self.low <= number <= self.high:
                raise UserError(f"{self.label} of row {row}: {values[row]!r} is not {self._allowed}; drop such rows")
        return found

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """One sequence a row; the longer text of a pair is truncated first.

        Labels have shape [rows], and go from 0 (`low`) to 1 (`high`): one learning rate suits every scale.
        """
        self.require(rows)
        second = None if self.text_pair is None else column(rows, self.text_pair)
        ids, types = encode_texts(tokenizer, column(rows, self.text), second, max_length=max_length)
        unit = (np.asarray(self.gold(rows), dtype=np.float64) - self.low) / (self.high - self.low)
        return Features(
            input_ids=ids,
            example=np.arange(rows.num_rows, dtype=np.int64),
            num_examples=rows.num_rows,
            token_type_ids=types,
            labels=unit.astype(np.float32),
        )

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The number that the head says, one a row, on the scale of the data; it may lie beyond its ends."""
        unit = cast(Floats, outputs)[:, 0].astype(np.float64)
        return cast(list[Any], (self.low + unit * (self.high - self.low)).tolist())

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Pearson's and Spearman's correlation, and their mean."""
        gold = self.gold(rows)
        both = regression.pearson(predictions, gold), regression.spearman(predictions, gold)
        return dict(zip(self.metrics, (*both, sum(both) / 2), strict=True))

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """The middle of the scale for every row: no constant has a correlation with anything."""
        return [[(self.low + self.high) / 2] * rows.num_rows]

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing and blank texts, and labels that are no number of the scale."""
        values = column(rows, self.label)
        found = [_number(value) for value in values]
        missing = [row for row, value in enumerate(values) if value is None]
        none = [row for row, number in enumerate(found) if number is None and values[row] is not None]
        beyond = [row for row, one in enumerate(found) if one is not None and not self.low <= one <= self.high]
        kinds = (("no score", missing), ("score that is no number", none), ("score beyond the scale", beyond))
        wrong = []
        for what, there in kinds:
            shown = "" if not there else "null" if values[there[0]] is None else repr(values[there[0]])
            wrong += faults(what, there, found=shown, allowed=self._allowed)
        return text_faults(rows, self._texts()) + wrong


def _number(value: Any) -> float | None:
    """A finite number, from a number or a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
