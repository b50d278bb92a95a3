"""Masked language modelling on plain text, as a task beside others."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.errors import UserError
from raystilts.tasks.encoding import (
    Features,
    Ints,
    Longs,
    Outputs,
    Ragged,
    Tokenizer,
    concat_rows,
    repeated,
    slices,
    surround,
    template,
    tokenise,
    uses_token_types,
)
from raystilts.tasks.types.base import Head, TaskType
from raystilts.tasks.types.columns import Fault, column, text_faults

_IGNORE = -100


class MaskedLM(TaskType):
    """Plain text, packed: rows are joined with the tokenizer's end of sequence between them and
    cut into full sequences (the "full sentences" of Liu et al. 2019, section 4.2).

    For training, which tokens are masked is drawn anew at every step, by the training loop. For
    evaluation a fixed draw is made here, `probability` of the tokens, all replaced by the mask
    token.

    Attributes:
        text: Column of the text.
        probability: Share of tokens that are masked in evaluation.
    """

    kind: Literal["masked_lm"] = "masked_lm"
    text: str = "text"
    probability: float = Field(default=0.15, gt=0, lt=1)

    head: ClassVar[Head] = "masked_lm"
    default_max_length: ClassVar[int] = 256
    tokens_per_row: ClassVar[int] = 35

    def columns(self) -> tuple[str, ...]:
        """The text."""
        return (self.text,)

    def item_columns(self) -> tuple[str, ...]:
        """All columns: nothing here is an answer."""
        return self.columns()

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """Full sequences; an example is a sequence here, not a row. The end of the text is a
        shorter one."""
        self.require(rows)
        form = template(tokenizer, pair=False)
        room = form.room(max_length)
        texts = tokenise(tokenizer, column(rows, self.text)).rows()
        stream = concat_rows([texts, repeated(form.parts[1], len(texts))])
        total = max(0, len(stream.values) - len(form.parts[1]))  # the last end is added by `surround`
        starts = np.arange(0, total, room, dtype=np.int64)
        chunks = slices(stream, starts, np.minimum(room, total - starts))
        ids, types = surround(form, (chunks,), types=uses_token_types(tokenizer))
        labels = None
        if not training:
            ids, labels = self._mask(ids, form.parts, tokenizer)
        return Features(
            input_ids=ids,
            example=np.arange(len(ids), dtype=np.int64),
            num_examples=len(ids),
            token_type_ids=types,
            token_labels=labels,
        )

    def _mask(self, ids: Ragged, specials: tuple[Ints, ...], tokenizer: Tokenizer) -> tuple[Ragged, Ragged]:
        """Masks a share of the tokens that are not special, the same ones at every call."""
        mask = getattr(tokenizer, "mask_token_id", None)
        if mask is None:
            raise UserError("masked_lm: the encoder's tokenizer has no mask token; choose another encoder")
        draw = np.random.default_rng(0).random(len(ids.values)) < self.probability
        chosen = draw & ~np.isin(ids.values, np.concatenate(specials))
        values = np.where(chosen, np.int32(mask), ids.values).astype(np.int32)
        labels: Longs = np.where(chosen, ids.values, _IGNORE).astype(np.int64)
        return Ragged(values, ids.offsets), Ragged(labels, ids.offsets)

    def predict(self, outputs: Outputs, features: Features, rows: pa.Table) -> list[Any]:
        """``[right, masked]`` for every sequence: how many masked tokens there are, and were
        guessed."""
        assert features.token_labels is not None
        gold, best = features.token_labels, cast(Ragged, outputs)
        counts = []
        for wanted, guess in zip(gold, best, strict=True):
            masked = wanted != _IGNORE
            counts.append([int((wanted[masked] == guess[masked]).sum()), int(masked.sum())])
        return counts

    def gold(self, rows: pa.Table) -> list[Any]:
        """One token masked and guessed: which tokens are masked, only the features know."""
        return [[1, 1]]

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """The share of masked tokens that were guessed."""
        right, masked = np.asarray(predictions, dtype=np.int64).reshape(-1, 2).sum(axis=0)
        return {"accuracy": float(right / masked) if masked else 0.0}

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing texts, and blank ones."""
        return text_faults(rows, (self.text,))
