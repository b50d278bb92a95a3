"""Sentence retrieval across languages: find the translation of each sentence."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa

from raystilts.metrics import retrieval
from raystilts.tasks.encoding import Tokenizer, encode_texts
from raystilts.tasks.features import Features, Floats, Outputs
from raystilts.tasks.types.base import Head, TaskType, column, empty_texts


class Retrieval(TaskType):
    """Pairs of translations: row i of one column belongs to row i of the other.

    As in XTREME's Tatoeba: every English sentence (the query) looks for its translation among the
    foreign sentences (the index) by cosine similarity. Nothing is trained.

    Attributes:
        query: Column of the English sentences.
        candidate: Column of the foreign sentences.
    """

    kind: Literal["retrieval"] = "retrieval"
    query: str
    candidate: str

    head: ClassVar[Head] = "embedding"
    default_max_length: ClassVar[int] = 512
    tokens_per_row: ClassVar[int] = 30

    def columns(self) -> tuple[str, ...]:
        """Queries and candidates."""
        return (self.query, self.candidate)

    def item_columns(self) -> tuple[str, ...]:
        """All columns: nothing here is an answer."""
        return self.columns()

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """All queries, then all candidates, one sequence each."""
        texts = column(rows, self.query) + column(rows, self.candidate)
        ids, types = encode_texts(tokenizer, texts, None, max_length=max_length)
        return Features(
            input_ids=ids,
            example=np.arange(len(texts), dtype=np.int64),
            num_examples=len(texts),
            token_type_ids=types,
            num_queries=rows.num_rows,
        )

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """For each query the row of the nearest candidate."""
        vectors, queries = cast(Floats, outputs), features.num_queries
        nearest = retrieval.nearest(vectors[:queries], vectors[queries:])
        return cast(list[Any], np.asarray(nearest).tolist())

    def gold(self, rows: pa.Table) -> list[Any]:
        """The row itself: translations stand side by side."""
        return list(range(rows.num_rows))

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Accuracy at 1: the share of queries whose nearest candidate is their own translation."""
        right = np.asarray(predictions) == np.arange(rows.num_rows)
        return {"accuracy": float(np.mean(right))}

    def check(self, rows: pa.Table, language: str) -> list[str]:
        """Empty sentences."""
        return empty_texts(rows, self.columns())
