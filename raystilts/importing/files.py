"""One file as rows: CSV, TSV, Excel, Parquet, JSON, JSON lines, a table of LaTeX."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.delimited import read_delimited, read_text
from raystilts.importing.exports import exported
from raystilts.importing.latex import table_of_latex
from raystilts.importing.reading import Reading, placed
from raystilts.importing.sheets import read_sheets

_PARQUET, _EXCEL = (".parquet", ".pq"), (".xlsx", ".xlsm")
_LATEX = (".tex",)
_JSON, _LINES = (".json",), (".jsonl", ".ndjson")
_NAMED_INDEX = "level_"


def read_file(path: Path) -> Reading:
    """The rows of a file, of the kind that its name or its content tells.

    Raises:
        UserError: It cannot be read, or has no rows.
    """
    suffix = path.suffix.lower()
    above: list[str] = []
    try:
        if suffix in _PARQUET:
            frame, shape = _labels(pd.read_parquet(path)), "Parquet"
        elif suffix in _EXCEL:
            frame, shape = read_sheets(path, above), "Excel"
        elif suffix in _LATEX:
            frame, shape = read_text(table_of_latex(path.read_text("utf-8-sig")), above, (",",)), "a table of LaTeX"
        elif suffix in _LINES:
            frame, shape = pd.json_normalize(_lines(path)), "JSON lines"
        elif suffix in _JSON:
            frame, shape = _json(path), "JSON"
        else:
            frame, shape = read_delimited(path, above), "CSV"
    except (ValueError, OSError, KeyError, pd.errors.ParserError) as error:
        if isinstance(error, UserError):
            raise
        kinds = "CSV, TSV, Excel, Parquet, JSON, JSON lines or LaTeX"
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not readable as {kinds} ({first})") from None
    if not len(frame) or not len(frame.columns):
        raise UserError(f"{path}: the table has no rows")
    frame, said = exported(frame)
    return Reading(placed(frame, path.name), shape, [path], [*above, *said])


def _labels(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose index, where it says something, is columns."""
    if isinstance(frame.index, pd.RangeIndex):
        return frame
    if frame.index.nlevels == 1 and frame.index.name is None and frame.index.dtype.kind in "iu":
        return frame.reset_index(drop=True)
    names = [name or f"{_NAMED_INDEX}{i}" for i, name in enumerate(frame.index.names)]
    frame.index = frame.index.set_names(names)
    if isinstance(frame.columns, pd.MultiIndex):
        return frame.reset_index(col_level=0, col_fill="")
    return frame.reset_index()


def _lines(path: Path) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if line.strip():
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is no object")
            records.append(record)
    return records


def _json(path: Path) -> pd.DataFrame:
    """Records, a table as pandas writes it, or objects in objects down to numbers."""
    text = path.read_text("utf-8-sig")
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return pd.json_normalize(_lines(path))
    if isinstance(data, list) and data and all(isinstance(record, dict) for record in data):
        return pd.json_normalize(data)
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        if "columns" in data:
            return pd.DataFrame(data["data"], columns=data["columns"])
        return pd.json_normalize(data["data"])
    if isinstance(data, dict) and data:
        columns = [list(value) if isinstance(value, dict) else None for value in data.values()]
        indexed = columns[0] is not None and all(keys == columns[0] for keys in columns)
        if indexed and [str(i) for i in range(len(columns[0] or ()))] == columns[0]:
            return pd.DataFrame({name: list(values.values()) for name, values in data.items()})
        if all(isinstance(value, list) and len(value) == len(next(iter(data.values()))) for value in data.values()):
            return pd.DataFrame(data)
        return _nested(data)
    raise ValueError("neither a list of objects nor an object of objects")


def _nested(data: dict[str, Any]) -> pd.DataFrame:
    """A row a number, with the keys above it in columns level_0, level_1..."""
    leaves = list(_leaves(data, ()))
    depth = max((len(keys) for keys, _ in leaves), default=0)
    if not leaves or any(len(keys) != depth for keys, _ in leaves) or depth < 2:
        raise ValueError("objects in objects, but not with a number at the same depth everywhere")
    names = [f"{_NAMED_INDEX}{i}" for i in range(depth)]
    return pd.DataFrame([{**dict(zip(names, keys, strict=True)), "value": value} for keys, value in leaves])


def _leaves(data: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*keys, str(key)))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from _leaves(value, (*keys, str(place)))
    else:
        yield keys, data
