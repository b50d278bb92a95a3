"""Types that read a text or a pair of texts an item, and one label."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pyarrow as pa

from raystilts.tasks.encoding import Features, Floats, Longs, Tokenizer, encode_texts
from raystilts.tasks.types.base import TaskType
from raystilts.tasks.types.columns import column


class TextPair(TaskType):
    """One label for each text or pair.

    Attributes:
        text: Column of the (first) text.
        text_pair: Column of the second text, if there is one.
        label: Column of the label.
    """

    text: str
    text_pair: str | None = None
    label: str

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

    @abstractmethod
    def _labels(self, rows: pa.Table) -> Longs | Floats:
        """What is trained on, [rows]."""

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """One sequence a row; the longer text of a pair is truncated first. Labels have shape [rows]."""
        self.require(rows)
        second = None if self.text_pair is None else column(rows, self.text_pair)
        ids, types = encode_texts(tokenizer, column(rows, self.text), second, max_length=max_length)
        return Features(
            input_ids=ids,
            example=np.arange(rows.num_rows, dtype=np.int64),
            num_examples=rows.num_rows,
            token_type_ids=types,
            labels=self._labels(rows),
        )
