"""Columns of rows: how they are read, and what is wrong with their cells.

One rule serves everybody: what `raystilts tasks check` tells, a study refuses before it trains, and so does encoding.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raystilts.errors import UserError, did_you_mean

#: How many rows with a fault are named before they are only counted.
_SHOWN = 5

#: Characters of a cell that are shown.
_WIDTH = 80

#: Label names that are named in a message before the rest is left out.
_LABELS = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that rows break.

    Attributes:
        what: The fault in words: "no text in 'review'".
        rows: The rows that have it; empty where it is the whole column's.
        found: What stands in the first of them.
        allowed: What may stand there.
        remedy: What is to be done, where that is known.
        fatal: Whether such rows cannot be used. The others are only worth a look: a blank text is still a text.
    """

    what: str
    rows: tuple[int, ...] = ()
    found: str = ""
    allowed: str = ""
    fatal: bool = True
    remedy: str = ""

    def __str__(self) -> str:
        where = ""
        if self.rows:
            shown = ", ".join(map(str, self.rows[:_SHOWN])) + (", ..." if len(self.rows) > _SHOWN else "")
            where = f" in {len(self.rows)} row{'s' if len(self.rows) > 1 else ''} ({shown})"
        found = f": {self.found}" if self.found else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{self.what}{where}{found}{allowed}{f'. {self.remedy}' if self.remedy else ''}"


def field(rows: pa.Table, path: str) -> pa.Array:
    """A column in one piece; ``"choices.text"`` reaches into a struct, or into each struct of a list.

    Raises:
        UserError: If there is no such column.
    """
    import pyarrow.compute as pc

    name, *fields = path.split(".")
    if name not in rows.column_names:
        raise UserError(f"column {name!r} is missing; {did_you_mean(name, rows.column_names)}")
    array = rows.column(name).combine_chunks()
    for part in fields:
        inner = array.type.value_type if pa.types.is_list(array.type) else array.type
        if not pa.types.is_struct(inner) or inner.get_field_index(part) < 0:
            raise UserError(f"column {path!r}: {array.type} has no field {part!r}")
        if pa.types.is_list(array.type):
            values = pc.struct_field(array.values, part)
            array = pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null() if array.null_count else None)
        else:
            array = pc.struct_field(array, part)  # null where the struct is
    return array


def column(rows: pa.Table, path: str) -> list[Any]:
    """A column as a Python list, see `field`."""
    return field(rows, path).to_pylist()  # type: ignore[no-any-return]


def text_faults(rows: pa.Table, names: Iterable[str]) -> list[Fault]:
    """Faults of columns of texts: no text at all, no valid text, and blank ones (which are not fatal)."""
    found: list[Fault] = []
    for name in names:
        array = field(rows, name)
        found += _no_texts(array, name) or [*_missing(array, f"no text in {name!r}"), *_blank(array, name)]
    return found


def kind_faults(rows: pa.Table, names: Iterable[str]) -> list[Fault]:
    """Faults of columns of texts that may be null in some rows: no texts at all, or not in UTF-8."""
    import pyarrow.compute as pc

    found: list[Fault] = []
    for name in names:
        array = field(rows, name)
        if pa.types.is_null(array.type):
            continue
        if is_text(array.type):  # a null is no fault here: whose texts those are is the caller's to say
            array = pc.fill_null(array, "-")
        found += [fault for fault in text_faults(pa.table({name: array}), (name,)) if fault.fatal]
    return found


def is_text(kind: pa.DataType) -> bool:
    """Whether a column is of texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _no_texts(array: pa.Array, name: str) -> list[Fault]:
    """Whether a column is no text, or not in UTF-8."""
    if pa.types.is_null(array.type):
        return _missing(array, f"no text in {name!r}")
    if not is_text(array.type):
        return [Fault(f"column {name!r} holds {array.type}", allowed="text (string)")]
    bad = _not_utf8(array)
    allowed = "text in UTF-8; write the file again"
    return faults(f"{name!r} is not UTF-8", bad, found=lambda row: f"{_bytes(array)[row][:20]!r}", allowed=allowed)


def _not_utf8(array: pa.Array) -> tuple[int, ...]:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return tuple(i for i, text in enumerate(_bytes(array)) if not _decodes(text))
    return ()


def _bytes(array: pa.Array) -> list[Any]:
    """What texts are made of."""
    kind = pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()
    return array.view(kind).to_pylist()  # type: ignore[no-any-return]


def _decodes(text: bytes | None) -> bool:
    try:
        (text or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _missing(array: pa.Array, what: str) -> list[Fault]:
    rows = where(array.is_null())
    return [Fault(what, rows, "null", "a text in every row")] if rows else []


def _blank(array: pa.Array, name: str) -> list[Fault]:
    import pyarrow.compute as pc  # here: names of tasks are asked for without it

    rows = where(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(array)), 0))
    return [Fault(f"empty {name!r}", rows, fatal=False)] if rows else []


def where(mask: pa.Array) -> tuple[int, ...]:
    """The rows for which a mask is true."""
    import pyarrow.compute as pc

    return tuple(pc.indices_nonzero(mask).to_pylist())


def label_table(names: Sequence[str], others: Sequence[str] = ()) -> dict[str, int]:
    """What a label column may hold, as text, and the class that it means.

    Names win. An index (0, 1, ...) is understood only where no name is a number: the class "1" of "1" to "5" is the
    first one, and a 0 there is a mistake. Names such as "1.0" are also found as the numbers that they are.

    Args:
        names: The names of the classes.
        others: Further names of the same classes, in the same order.
    """
    table: dict[str, int] = {}
    if not any(_is_number(name) for name in names):
        table |= {str(i): i for i in range(len(names))}
    for group in (others, names):
        table |= {_as_number(name): i for i, name in enumerate(group) if _is_number(name)}
    return table | {name: i for group in (others, names) for i, name in enumerate(group)}


def _is_number(name: str) -> bool:
    return name.removeprefix("-").isdecimal() or re.fullmatch(r"-?[0-9]+\.[0-9]+", name) is not None


def _as_number(name: str) -> str:
    """A name that is a number as `label_text` has that number: "1.0" as 1, "0.50" as 0.5."""
    return name if name.removeprefix("-").isdecimal() else label_text(float(name)) or name


def versioned(names: Sequence[str]) -> int:
    """The version of a type with these labels: 2 where a name is a number but not its own index.

    There an index was once read as another class than the one of that name.
    """
    return 1 if all(_as_number(name) == str(i) for i, name in enumerate(names) if _is_number(name)) else 2


def allowed_labels(names: Sequence[str]) -> str:
    """The labels of a task, for people."""
    shown = ", ".join(names[:_LABELS]) + (f", ... ({len(names)} in all)" if len(names) > _LABELS else "")
    return shown if any(_is_number(name) for name in names) else f"{shown}, or 0 to {len(names) - 1}"


def label_text(value: Any) -> str | None:
    """A label as `label_table` has it: whole numbers without a fraction; None for what can be no label."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value) if value.is_integer() else value  # integers that some program read as floats
    return str(value) if isinstance(value, (int, str, float)) else None


def index_labels(values: list[Any], table: dict[str, int], what: str, allowed: str) -> list[int]:
    """Labels to the classes that `table` says.

    Raises:
        UserError: Naming the first label that is none.
    """
    memo = {value: table.get(label_text(value) or "", -1) for value in {*map(_hashable, values)}}
    indices = [memo[_hashable(value)] for value in values]
    if -1 in indices:
        row = indices.index(-1)
        raise UserError(
            f"{what} of row {row}: {values[row]!r} is not a label; allowed: {allowed}. Drop such rows, or give the "
            "task all its labels"
        )
    return indices


def _hashable(value: Any) -> Any:
    """The value, kept apart from those that only hash alike: 1 and True, and whatever has no hash."""
    if isinstance(value, bool):
        return str(value)
    return f"\0{value!r}" if isinstance(value, (list, dict)) else value


def label_faults(values: Sequence[Any], table: dict[str, int], allowed: str, what: str = "label") -> list[Fault]:
    """Faults of labels: none at all, and such as the task has not."""
    memo = {value: label_text(value) in table for value in {*map(_hashable, values)}}
    wrong = [i for i, value in enumerate(values) if not memo[_hashable(value)]]
    missing = tuple(i for i in wrong if values[i] is None or label_text(values[i]) == "-1")
    lost = {*missing}
    unknown = tuple(i for i in wrong if i not in lost)
    found = []
    if missing:
        remedy = "Fill them in, or leave these rows out"
        found.append(Fault(f"no {what}", missing, shown(values[missing[0]]), allowed, remedy=remedy))
    if unknown:
        first = values[unknown[0]]
        found.append(Fault(f"unknown {what}", unknown, shown(first), allowed, remedy=_remedy(first, table)))
    return found


def _remedy(value: Any, table: dict[str, int]) -> str:
    """What to do about a label that a task has not, where it is seen what was meant."""
    text = label_text(value)
    if text is None:
        return ""
    meant = next((name for name in table if "".join(name.split()).casefold() == "".join(text.split()).casefold()), None)
    if meant is not None:
        return f"The task has {meant!r}: spell its labels as the file does"
    whole = text.removesuffix(".0")
    if whole != text and whole in table:
        return f"Write whole numbers, such as {whole}"
    if _is_number(whole) and not all(map(_is_number, table)):
        return "Numbers count the task's labels from 0; or name its labels by the file's numbers: labels=(\"1\", ...)"
    return ""


def shown(value: Any) -> str:
    """A cell, for people."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def faults(
    what: str,
    rows: Iterable[int],
    *,
    found: str | Callable[[int], str] = "",
    allowed: str = "",
    fatal: bool = True,
) -> list[Fault]:
    """One fault of all rows that have it, or none.

    Args:
        found: What stands in the first of them, or a function that says it of a row.
    """
    there = tuple(rows)
    if not there:
        return []
    return [Fault(what, there, found if isinstance(found, str) else found(there[0]), allowed, fatal)]
