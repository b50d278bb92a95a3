"""What a task becomes after tokenisation: flat arrays that can be cached, memory-mapped and sliced.

Plain numpy: planning, scoring and tests need no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different length in one flat array.

    Attributes:
        values: All rows one after the other, shape [total, ...].
        offsets: Row i is ``values[offsets[i]:offsets[i + 1]]``; shape [rows + 1].
    """

    values: NDArray[np.generic]
    offsets: Longs

    @classmethod
    def from_rows(cls, rows: list[NDArray[np.generic]] | list[list[int]], dtype: type) -> Ragged:
        """Joins rows (lists or arrays) of any length into one."""
        arrays: list[NDArray[np.generic]] = [np.asarray(row, dtype=dtype) for row in rows]
        offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
        np.cumsum([len(a) for a in arrays], out=offsets[1:])
        values = np.concatenate(arrays) if arrays else np.zeros(0, dtype=dtype)
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.generic]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> Longs:
        """The length of each row, shape [rows]."""
        return np.diff(self.offsets)

    def take(self, indices: Longs) -> Ragged:
        """The rows at `indices`, in that order, as a copy."""
        lengths = self.lengths[indices]
        offsets = np.zeros(len(indices) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Ragged(self.values[np.repeat(self.offsets[indices], lengths) + within], offsets)


@dataclass(frozen=True, slots=True)
class Features:
    """Sequences for the encoder, and what is needed to train on them and to map outputs back to rows.

    A row of the data is an *example*; a *feature* is one sequence. One example has one feature (a sentence or a
    pair), k features one after the other (multiple choice with k choices), one or more (windows over a long
    context), or two (retrieval: all queries come first, then all candidates).

    Attributes:
        input_ids: int32 token ids with special tokens, a row a feature.
        example: The example that each feature belongs to, shape [features], not decreasing.
        num_examples: Number of examples (retrieval: queries plus candidates).
        token_type_ids: int32, parallel to `input_ids`, for tokenizers that have them.
        labels: int64. Sequence and choice heads: shape [examples]. Span head: shape [features, 2], the first and
            the last token of the answer in this window, or (0, 0) where it is not inside.
        token_labels: int64, parallel to `input_ids`; -100 where there is nothing to predict.
        char_spans: int32, parallel to `input_ids` with shape [total, 2]: characters of the context that the token
            covers, (-1, -1) outside the context.
        num_queries: Retrieval: how many of the features are queries.
    """

    input_ids: Ragged
    example: Longs
    num_examples: int
    token_type_ids: Ragged | None = None
    labels: Longs | None = None
    token_labels: Ragged | None = None
    char_spans: Ragged | None = None
    num_queries: int = 0


@dataclass(frozen=True, slots=True)
class SpanLogits:
    """Span head: one start and one end score a token, rows parallel to `Features.input_ids`."""

    start: Ragged
    end: Ragged


#: What the model says about a set of features, by head: "sequence" [examples, classes] and "choice" [examples,
#: choices] logits, "embedding" [features, hidden] vectors; "token" the best tag a token; "span" start and end scores.
Outputs = Floats | Ragged | SpanLogits
