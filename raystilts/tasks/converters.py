"""Named conversions of rows, where published columns need a change before use.

A source names its converter, so that the name is part of what is hashed. Each takes a table and
the language it is for, leaves rows in order, and changes nothing in a table that already has the
wanted form.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean
from raystilts.tasks import retrieval_rows
from raystilts.tasks.languages import language_name

Converter = Callable[[pa.Table, str], pa.Table]


def labelled(rows: pa.Table, language: str) -> pa.Table:
    """Drops rows without a label (-1: annotators disagreed, or the label is hidden)."""
    import pyarrow.compute as pc  # here: names of tasks are asked for without it

    return rows.filter(pc.not_equal(pc.cast(rows["label"], pa.string()), "-1"))


def language_by_id(rows: pa.Table, language: str) -> pa.Table:
    """Keeps rows whose id begins with the language's English name (TyDiQA: ``arabic-238...``)."""
    import pyarrow.compute as pc

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


def afriqa_items(rows: pa.Table, language: str) -> pa.Table:
    """Names AfriQA's published columns as SQuAD does, and marks the answers that are no span.

    A "yes" or "no" answers the question and not the context, wherever these letters happen to stand
    in it: its start becomes -1, as most such rows have it. A missing passage is an empty context.
    """
    names = {"question_lang": "question", "answer_pivot": "answers"}
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    answers = []
    for answer, context in zip(rows["answers"].to_pylist(), rows["context"].to_pylist(), strict=True):
        spans = [
            -1 if not context or said.strip().lower() in {"yes", "no", "oui", "non"} else start
            for said, start in zip(answer["text"], answer["answer_start"], strict=True)
        ]
        answers.append({"text": answer["text"], "answer_start": spans})
    kind = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    contexts = pa.array([context or "" for context in rows["context"].to_pylist()], pa.string())
    return _replace(_replace(rows, "answers", pa.array(answers, kind)), "context", contexts)


def _replace(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


CONVERTERS: dict[str, Converter] = {
    "labelled": labelled,
    "premise_hypothesis": premise_hypothesis,
    "upos_column": upos_column,
    "language_by_id": language_by_id,
    "copa_question": copa_question,
    "no_dates": no_dates,
    "afriqa_items": afriqa_items,
    "bucc_sides": retrieval_rows.bucc_sides,
    "lareqa_sentences": retrieval_rows.lareqa_sentences,
    "mewsli_mentions": retrieval_rows.mewsli_mentions,
    "mewsli_entities": retrieval_rows.mewsli_entities,
}


def get_converter(name: str) -> Converter:
    """The converter of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in CONVERTERS:
        raise UserError(f"converter: {name!r} is unknown; {did_you_mean(name, CONVERTERS)}")
    return CONVERTERS[name]
