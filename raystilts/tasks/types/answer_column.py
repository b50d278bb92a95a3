"""A column of answers and their places in a context: the forms in which it comes, and what is wrong with it.

Ours is a struct of two lists, text and answer_start, as SQuAD has it. Answers may also come as a list of structs, as
one answer a row, or null where there is none; and starts as floats, which pandas makes of whole numbers.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from raystilts.errors import UserError
from raystilts.tasks.types.columns import Fault, column, faults, field, shown

#: The fields of an answer.
PARTS = ("text", "answer_start")


def in_lists(answers: pa.Array, name: str) -> pa.Array:
    """Answers as a struct of two lists of texts and whole numbers, none of them null; the same array if it is that.

    Args:
        answers: The column `name`.

    Raises:
        UserError: It holds something else.
    """
    inner = answers.type.value_type if pa.types.is_list(answers.type) else answers.type
    named = pa.types.is_struct(inner) and not {*PARTS} - {one.name for one in inner}
    if not named and not pa.types.is_null(inner):
        raise UserError(f"column {name!r} holds {answers.type}; allowed: a struct of the lists text and answer_start")
    text, start = _kinds(answers.type)
    if _in_form(answers) and not pa.types.is_floating(start):
        return answers
    table = list(map(_as_lists, answers.to_pylist()))
    if pa.types.is_floating(start) and all(_is_whole(one) for answer in table for one in answer["answer_start"]):
        start = pa.int64()
        for answer in table:
            answer["answer_start"] = [None if one is None else int(one) for one in answer["answer_start"]]
    return pa.array(table, pa.struct([("text", pa.list_(text)), ("answer_start", pa.list_(start))]))


def answer_faults(rows: pa.Table, name: str) -> list[Fault]:
    """Answers that are no texts, and starts that are no whole numbers, in a column of `in_lists`."""
    text, start = _kinds(field(rows, name).type)
    found = []
    if not pa.types.is_null(text) and not pa.types.is_string(text) and not pa.types.is_large_string(text):
        found.append(Fault(f"column '{name}.text' holds {text}", allowed="a list of texts (string)"))
    place = f"{name}.answer_start"
    if pa.types.is_floating(start):
        starts = column(rows, place)
        wrong = [i for i, own in enumerate(starts) if not all(map(_is_whole, own))]
        what, allowed = f"no whole number in {place!r}", "the place of the answer's first character, from 0"
        found += faults(what, wrong, found=lambda row: shown(starts[row]), allowed=allowed)
    elif not pa.types.is_null(start) and not pa.types.is_integer(start):
        remedy = "Write numbers without quotes, such as [9]" if pa.types.is_string(start) else ""
        what, allowed = f"column {place!r} holds {start}", "a list of whole numbers (integer)"
        found.append(Fault(what, allowed=allowed, remedy=remedy))
    return found


def _kinds(kind: pa.DataType) -> tuple[pa.DataType, pa.DataType]:
    """What the texts and the starts of a column of answers are, in any of the forms that it may have."""
    inner = kind.value_type if pa.types.is_list(kind) else kind
    if pa.types.is_null(inner):  # no row has an answer
        return pa.string(), pa.int32()
    found = [inner.field(name).type for name in PARTS]
    if pa.types.is_struct(kind):
        found = [one.value_type if pa.types.is_list(one) else one for one in found]
    return found[0], found[1]


def _in_form(answers: pa.Array) -> bool:
    """Whether answers are a struct of two lists in every row, none of them null."""
    if not pa.types.is_struct(answers.type) or answers.null_count:
        return False
    parts = [answers.field(name) for name in PARTS]
    return all(pa.types.is_list(part.type) and not part.null_count for part in parts)


def _as_lists(answer: Any) -> dict[str, list[Any]]:
    """The texts and the starts of one row's answers; empty where it has none."""
    if isinstance(answer, list):
        return {name: [(one or {}).get(name) for one in answer] for name in PARTS}
    given = {name: (answer or {}).get(name) for name in PARTS}
    return {name: one if isinstance(one, list) else [] if one is None else [one] for name, one in given.items()}


def _is_whole(start: float | None) -> bool:
    """Whether a start can be a place; null is left to the rule that every text needs its own."""
    return start is None or float(start).is_integer()
