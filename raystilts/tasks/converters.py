"""Named conversions of rows, where published columns need a change before use.

A source names its converter, so that the name is part of what is hashed. Each takes a table and
the language it is for, leaves rows in order, and changes nothing in a table that already has the
wanted form.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks.languages import language_name

Converter = Callable[[pa.Table, str], pa.Table]


def labelled(rows: pa.Table, language: str) -> pa.Table:
    """Drops rows without a label (-1: annotators disagreed, or the label is hidden)."""
    return rows.filter(pc.not_equal(pc.cast(rows["label"], pa.string()), "-1"))


def language_by_id(rows: pa.Table, language: str) -> pa.Table:
    """Keeps rows whose id begins with the language's English name (TyDiQA: ``arabic-238...``)."""
    return rows.filter(pc.starts_with(rows["id"], language_name(language).lower() + "-"))


def premise_hypothesis(rows: pa.Table, language: str) -> pa.Table:
    """Names the two texts of an inference set premise and hypothesis (CLUE: sentence1 and sentence2)."""
    names = {"sentence1": "premise", "sentence2": "hypothesis"}
    return rows.rename_columns([names.get(name, name) for name in rows.column_names])


def upos_column(rows: pa.Table, language: str) -> pa.Table:
    """Names the column of tags as XTREME does (MasakhaPOS: upos)."""
    return rows.rename_columns(["pos_tags" if name == "upos" else name for name in rows.column_names])


def copa_question(rows: pa.Table, language: str) -> pa.Table:
    """Writes COPA's "cause" and "effect" out as questions (Roemmele et al. 2011)."""
    written = {"cause": "What was the cause?", "effect": "What happened as a result?"}
    texts = [written.get(value, value) for value in rows["question"].to_pylist()]
    return _replace(rows, "question", pa.array(texts, pa.string()))


def no_dates(rows: pa.Table, language: str) -> pa.Table:
    """Tags dates as outside (MasakhaNER has them; the English training data, PAN-X, has not)."""
    tags = [["O" if tag in {"B-DATE", "I-DATE"} else tag for tag in row] for row in rows["ner_tags"].to_pylist()]
    return _replace(rows, "ner_tags", pa.array(tags, pa.list_(pa.string())))


def _replace(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


CONVERTERS: dict[str, Converter] = {
    "labelled": labelled,
    "premise_hypothesis": premise_hypothesis,
    "upos_column": upos_column,
    "language_by_id": language_by_id,
    "copa_question": copa_question,
    "no_dates": no_dates,
}


def get_converter(name: str) -> Converter:
    """The converter of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in CONVERTERS:
        raise UserError(f"converter: {name!r} is unknown; {did_you_mean(name, CONVERTERS)}")
    return CONVERTERS[name]
