"""Tables in one form, whatever wrote the file: classes by their names, strings as strings, files joined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from raystilts.errors import UserError

#: Stands for "no label" where a file has class numbers: -1, as the hub has it for hidden and disputed labels.
NO_LABEL = "-1"


def plain(table: pa.Table, at: str) -> pa.Table:
    """A table as it is read here, without metadata.

    Class numbers become the names that the file's own metadata gives them (`huggingface` features, which `datasets`
    writes): the order of a task's labels may be another. Dictionaries and the wide kinds of strings become strings.

    Args:
        table: As read.
        at: Where from, for errors.

    Raises:
        UserError: If a column stands twice, or a class number has no name.
    """
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise UserError(f"{at}: column {min(twice)!r} stands twice; give each column a name of its own")
    features = own_features(table)
    columns, names = [], table.column_names
    for name in names:
        array = simple(table.column(name).combine_chunks())
        if name in features:
            array = named(array, features[name], f"{at}: column {name!r}")
        columns.append(array)
    return pa.table(columns, names=names)


def own_features(table: pa.Table) -> dict[str, Any]:
    """The features that a file's own metadata declares; none where it has no such metadata."""
    try:
        found = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def simple(array: pa.Array) -> pa.Array:
    """Without dictionaries, views and large offsets, at any depth; the same values."""
    wanted = _simple_type(array.type)
    return array if wanted == array.type else array.cast(wanted)


def _simple_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _simple_type(kind.value_type)
    if kind in (pa.string_view(), pa.large_string()):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_simple_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _simple_type(one.type)) for one in kind])
    return kind


def named(array: pa.Array, feature: Any, at: str) -> pa.Array:
    """Class numbers as names, at any depth; -1 becomes `NO_LABEL`, null stays null."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = {"_type": "List", "feature": feature[0]}
    if not isinstance(feature, Mapping):
        return array
    if feature.get("_type") == "ClassLabel" and pa.types.is_integer(array.type):
        return _class_names(array, list(feature.get("names") or []), at)
    inner = feature.get("feature")
    if pa.types.is_list(array.type) and inner is not None:
        values = named(array.values, inner, at)
        return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null() if array.null_count else None)
    if pa.types.is_struct(array.type):
        fields = [one.name for one in array.type]
        parts = _struct_features(feature)
        values = [named(array.field(name), parts.get(name), at) for name in fields]
        return pa.StructArray.from_arrays(values, fields, mask=array.is_null() if array.null_count else None)
    return array


def _struct_features(feature: Mapping[str, Any]) -> dict[str, Any]:
    """The features of a struct's fields; a sequence of structs is stored as a struct of lists."""
    inner = feature.get("feature")
    if feature.get("_type") in ("Sequence", "List", "LargeList") and isinstance(inner, Mapping):
        return {name: {"_type": "List", "feature": one} for name, one in inner.items()}
    return dict(feature)


def _class_names(array: pa.Array, names: list[str], at: str) -> pa.Array:
    if not names:
        return array
    numbers = array.to_pylist()
    wrong = next((i for i, number in enumerate(numbers) if number is not None and not -1 <= number < len(names)), None)
    if wrong is not None:
        allowed = f"0 to {len(names) - 1}, as the file names"
        raise UserError(f"{at}: row {wrong} holds class {numbers[wrong]}; allowed: {allowed}")
    texts = [None if number is None else NO_LABEL if number < 0 else names[number] for number in numbers]
    return pa.array(texts, pa.string())


def joined(tables: Sequence[pa.Table], places: Sequence[str]) -> pa.Table:
    """Tables one after the other; numbers of different width become the wider.

    Args:
        tables: At least one.
        places: What to call each in an error.

    Raises:
        UserError: If a column holds text in one and something else in another.
    """
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        for table, place in zip(tables[1:], places[1:], strict=True):
            for one in tables[0].schema:
                other = table.schema.field(one.name).type if one.name in table.column_names else one.type
                if other != one.type:
                    raise UserError(
                        f"column {one.name!r} holds {one.type} in {places[0]} and {other} in {place}; write one type "
                        "in both"
                    ) from None
        raise
