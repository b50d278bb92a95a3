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
from raystilts.tasks.types.columns import Fault

Head = Literal["sequence", "choice", "regression", "span", "token", "embedding", "masked_lm"]


class TaskType(BaseModel, ABC):
    """A kind of task: which columns it reads, which head it trains, how it is scored.

    Types are frozen values: two tasks of equal type treat equal rows equally. `version` goes up when the same fields
    come to mean something else, so that results of the two are never mixed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: ClassVar[Head]
    default_max_length: ClassVar[int]
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

    @property
    def version(self) -> int:
        """Goes up when the same fields come to mean something else."""
        return 1

    @property
    def optional_metrics(self) -> tuple[str, ...]:
        """Scores that the rows get where a task or a study asks for one, by name."""
        return ()

    def with_metric(self, metric: str) -> Self:
        """The type that reports a score of `metrics` or `optional_metrics`.

        Raises:
            UserError: If it is neither.
        """
        if metric not in self.metrics:
            raise UserError(f"metric: no {metric!r}; {did_you_mean(metric, self.metrics)}")
        return self

    def item_columns(self) -> tuple[str, ...]:
        """The columns that make an item: all but the answer, which comes last."""
        return self.columns()[:-1]

    def normal(self, rows: pa.Table) -> pa.Table:
        """The rows in the one form that the type reads, where data comes in several; none less, in the same order."""
        return rows

    @abstractmethod
    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """What is wrong with the rows; empty if they are fine."""

    def require(self, rows: pa.Table) -> None:
        """Raises UserError if rows cannot be used."""
        for fault in self.check(rows, ""):
            if fault.fatal:
                raise UserError(f"{fault}")

    def text_columns(self) -> tuple[str, ...]:
        """Columns whose texts may stand in other items too, in other company: sentences of a pair, passages."""
        return ()

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
            UserError: If rows cannot be used, as `check` says.
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

    def beside(self, outputs: Outputs, features: Features, rows: pa.Table) -> dict[str, float]:
        """Scores of other ways to read the same outputs, under names of their own; none of them is a main score."""
        return {}

    def calibrated(self, predictions: list[Any], rows: pa.Table) -> Self:
        """The type with what is chosen on a language's dev data, for its test data; itself where nothing is."""
        return self

    def sample(self, rows: pa.Table, limit: int | None) -> pa.Table:
        """At most `limit` items, always the same ones, with whatever else their scoring needs."""
        return rows.take(pa.array(fixed_sample(rows.num_rows, limit)))

    def item_scores(self, predictions: list[Any], rows: pa.Table, language: str, metric: str) -> list[float]:
        """What each item scores alone, from 0 to 1, in the order of the rows; empty where scores are of a set alone.

        For a metric that is a mean over items these are what it is the mean of. For one of a set (F1 of a class, of
        the entities) they are the nearest that an item has: right or wrong, F1 of its sentence.
        """
        return []

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
