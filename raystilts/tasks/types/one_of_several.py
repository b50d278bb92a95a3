"""Types whose answer is one of several: a class, or a choice."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pyarrow as pa

from raystilts.tasks.encoding import Features, Floats, Outputs
from raystilts.tasks.types.base import TaskType


class OneOfSeveral(TaskType):
    """One of `num_labels` indices a row: the one with the highest score."""

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """The index with the highest score, one a row."""
        return cast(list[Any], np.argmax(cast(Floats, outputs), axis=1).tolist())

    def constant_predictions(self, rows: pa.Table) -> list[list[Any]]:
        """Each label for every row."""
        return [[label] * rows.num_rows for label in range(self.num_labels)]

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """Right or wrong."""
        return [float(p == g) for p, g in zip(predictions, self.gold(rows), strict=True)]
