"""Multiple choice: which of k continuations or answers fits the context."""

from __future__ import annotations

import string
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from raystilts.metrics import classification
from raystilts.tasks.encoding import Features, Tokenizer, encode_texts
from raystilts.tasks.types.base import Head
from raystilts.tasks.types.columns import (
    Fault,
    allowed_labels,
    column,
    faults,
    index_labels,
    label_faults,
    label_table,
    shown,
    text_faults,
)
from raystilts.tasks.types.one_of_several import OneOfSeveral


class MultipleChoice(OneOfSeveral):
    """k choices a row, of which one is right.

    Attributes:
        context: Template of the first text, with columns in braces: ``"{premise} {question}"``.
        choice: Template of the second text, with ``{choice}`` and columns: ``"{question} {choice}"``.
        choices: Columns with one choice each, or one column (or ``struct.field``) with a list of them.
        label: Column that says which is right.
        labels: What that column holds for the first, second, ... choice, as strings: their number is k. The names of
            the columns in `choices` are understood too, where there is one a choice.
    """

    kind: Literal["multiple_choice"] = "multiple_choice"
    context: str
    choice: str = "{choice}"
    choices: tuple[str, ...] = Field(min_length=1)
    label: str = "label"
    labels: tuple[str, ...] = Field(min_length=2)

    head: ClassVar[Head] = "choice"
    default_max_length: ClassVar[int] = 128
    tokens_per_row: ClassVar[int] = 220

    def columns(self) -> tuple[str, ...]:
        """The columns that the templates name, those of the choices, and the label."""
        named = [*_fields(self.context), *(f for f in _fields(self.choice) if f != "choice")]
        names = [*named, *(path.split(".")[0] for path in self.choices), self.label]
        return tuple(dict.fromkeys(names))

    @property
    def num_labels(self) -> int:
        """The number of choices a row (the head itself gives one score a choice)."""
        return len(self.labels)

    def _choices(self, rows: pa.Table) -> list[list[str]]:
        """The choices of every row, [rows][k]."""
        if len(self.choices) == 1:
            return column(rows, self.choices[0])
        columns = [column(rows, name) for name in self.choices]
        return [list(row) for row in zip(*columns, strict=True)]

    def gold(self, rows: pa.Table) -> list[Any]:
        """The index of the right choice of every row."""
        return index_labels(column(rows, self.label), self._table(), self.label, allowed_labels(self.labels))

    def _table(self) -> dict[str, int]:
        """What the label column may hold, and the choice that it means."""
        return label_table(self.labels, self.choices if len(self.choices) == len(self.labels) else ())

    def _named(self) -> list[str]:
        """The columns of texts that the templates name."""
        return [n for n in self.columns() if n in _fields(self.context + self.choice)]

    def _texts(self, rows: pa.Table) -> tuple[list[str], list[str]]:
        """First and second texts, k a row."""
        names = self._named()
        values = [column(rows, name) for name in names]
        first, second = [], []
        for at, choices in enumerate(self._choices(rows)):
            row = {name: value[at] for name, value in zip(names, values, strict=True)}
            first += [self.context.format_map(row)] * len(choices)
            second += [self.choice.format_map({**row, "choice": c}) for c in choices]
        return first, second

    def encode(self, rows: pa.Table, tokenizer: Tokenizer, *, max_length: int, training: bool) -> Features:
        """K sequences a row, one after the other; labels have shape [rows]."""
        self.require(rows)
        ids, types = encode_texts(tokenizer, *self._texts(rows), max_length=max_length)
        return Features(
            input_ids=ids,
            example=np.repeat(np.arange(rows.num_rows, dtype=np.int64), len(self.labels)),
            num_examples=rows.num_rows,
            token_type_ids=types,
            labels=np.asarray(self.gold(rows), dtype=np.int64),
        )

    def score(self, predictions: list[Any], rows: pa.Table, language: str) -> dict[str, float]:
        """Accuracy."""
        return {"accuracy": classification.accuracy(predictions, self.gold(rows))}

    def check(self, rows: pa.Table, language: str) -> list[Fault]:
        """Missing texts, labels that are not the task's, a wrong number of choices, empty choices."""
        found = text_faults(rows, self._named())
        found += label_faults(column(rows, self.label), self._table(), allowed_labels(self.labels))
        return found + (text_faults(rows, self.choices) if len(self.choices) > 1 else self._list_faults(rows))

    def _list_faults(self, rows: pa.Table) -> list[Fault]:
        """The same of choices in a list."""
        choices, k = list(enumerate(column(rows, self.choices[0]))), len(self.labels)
        odd = [i for i, row in choices if row is not None and not isinstance(row, list)]
        if odd:
            what = f"no list in {self.choices[0]!r}"
            return faults(what, odd, found=lambda row: shown(choices[row][1]), allowed="a list of texts")
        missing = [i for i, row in choices if row is None or not all(isinstance(c, str) for c in row)]
        lost = {*missing}
        number = [i for i, row in choices if i not in lost and len(row) != k]
        blank = [i for i, row in choices if i not in lost and not all(c.strip() for c in row)]
        found = faults("no choice", missing, found=lambda row: shown(choices[row][1]), allowed="a text for each choice")
        found += faults(f"not {k} choices", number, found=lambda row: f"{len(choices[row][1])}", allowed=f"{k}")
        return found + faults("empty choice", blank, fatal=False)


def _fields(template: str) -> list[str]:
    """The names in braces of a template, in order."""
    return [name for _, name, _, _ in string.Formatter().parse(template) if name]
