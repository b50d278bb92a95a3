"""Word embeddings that train only the rows which a training set can touch.

Multilingual vocabularies have 250,000 rows and more; a stage's training data touches a few thousand. A row that
never occurs has a zero gradient at every step, so AdamW without decay leaves it as it was: leaving it out of the
optimiser gives the same weights at a fraction of the time and memory (for a base-size multilingual encoder most
parameters are embeddings).
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from raystilts.training.encoder import word_embeddings


class CompactEmbedding(nn.Module):
    """Stands in for an `nn.Embedding`: trains the given rows, reads all of them in eval mode.

    Args:
        words: The full table; trained rows are written back into it whenever the module leaves training mode.
        used: Ids that training can meet, ascending, shape [rows].
    """

    def __init__(self, words: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        device = words.weight.device
        self._full = [words]  # in a list: the full table is not a parameter of this module
        self._used = used.to(device)
        self.rows = nn.Parameter(words.weight.detach()[self._used].clone())
        index = torch.zeros(words.num_embeddings, dtype=torch.long, device=device)
        index[self._used] = torch.arange(len(used), device=device)
        self._index = index
        padding = words.padding_idx
        self._padding = int(index[padding]) if padding is not None and padding in used else None

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [..., hidden] of token ids [...]."""
        if self.training:
            return functional.embedding(self._index[ids], self.rows, padding_idx=self._padding)
        return functional.embedding(ids, self._full[0].weight)

    def train(self, mode: bool = True) -> Self:
        """Switches mode; leaving training mode publishes the trained rows in the full table."""
        if not mode:
            self.publish()
        return super().train(mode)

    def publish(self) -> None:
        """Writes the trained rows into the full table."""
        with torch.no_grad():
            self._full[0].weight.data[self._used] = self.rows.detach()


class compact_rows:  # noqa: N801 (a context manager, used like a function)
    """Trains only the rows of `used` within a `with` block; the model has its own table again afterwards."""

    def __init__(self, encoder: nn.Module, used: Tensor | None) -> None:
        self._encoder = encoder
        self._used = used

    def __enter__(self) -> None:
        if self._used is not None:
            self._words = word_embeddings(self._encoder)
            self._compact = CompactEmbedding(self._words, self._used)
            self._encoder.set_input_embeddings(self._compact)  # type: ignore[operator]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._used is not None:
            self._compact.publish()
            self._encoder.set_input_embeddings(self._words)  # type: ignore[operator]
