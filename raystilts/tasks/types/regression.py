"""Regression of a text or of a pair of texts: how similar are two sentences (STS-B)?"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from raystilts.errors import UserError
from raystilts.metrics import regression
from raystilts.tasks.encoding import Features, Floats, Outputs
from raystilts.tasks.types.base import Head
from raystilts.tasks.types.columns import Fault, column, faults, shown, text_faults
from raystilts.tasks.types.text_pair import TextPair


class Regression(TextPair):
    """One number for each text or pair.

    Attributes:
        label: Column of the number: a number, or a text that is one.
        low: The lowest number that there is.
        high: The highest.
    """

    kind: Literal["regression"] = "regression"
    label: str = "score"
    low: float = 0.0
    high: float = 1.0

    head: ClassVar[Head] = "regression"

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self

    @property
    def num_labels(self) -> int:
        """One number."""
        return 1

    @property
    def metrics(self) -> tuple[str, ...]:
        """Both correlations and their mean; a negative one counts as 0."""
        return tuple(regression.METRICS)

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

    def _labels(self, rows: pa.Table) -> Floats:
        """From 0 (`low`) to 1 (`high`): one learning rate suits every scale."""
        unit = (np.asarray(self.gold(rows), dtype=np.float64) - self.low) / (self.high - self.low)
        return unit.astype(np.float32)

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The number that the head says, one a row, on the scale of the data; it may lie beyond its ends."""
        unit = cast(Floats, outputs)[:, 0].astype(np.float64)
        return cast(list[Any], (self.low + unit * (self.high - self.low)).tolist())

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Pearson's and Spearman's correlation, and their mean."""
        gold = self.gold(rows)
        return {name: metric(predictions, gold) for name, metric in regression.METRICS.items()}

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
            wrong += faults(what, there, found=lambda row: shown(values[row]), allowed=self._allowed)
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
