"""Sheets of Excel as rows; merged cells hold their value in each of their places."""

from __future__ import annotations

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.delimited import read_text
from raystilts.importing.kinds import SHEET


def read_sheets(path: Path, said: list[str]) -> pd.DataFrame:
    """Every sheet, with its name in a column where there are several.

    Args:
        said: What was concluded is added.

    Raises:
        UserError: openpyxl is missing.
        ValueError: It is no such file.
    """
    if importlib.util.find_spec("openpyxl") is None:
        raise UserError(f"{path}: Excel files need openpyxl: pip install 'raystilts[excel]'")
    from openpyxl import load_workbook

    try:
        sheets = load_workbook(path, data_only=True).worksheets
    except Exception as error:  # of zip files, of XML, and openpyxl's own
        raise ValueError(str(error) or type(error).__name__) from None
    parts = []
    for sheet in sheets:
        text = _text(sheet)
        frame = read_text(text, said, (",",)).dropna(how="all", axis=1) if text else pd.DataFrame()
        if len(frame):
            parts.append(_tidy(frame).assign(**{SHEET: sheet.title} if len(sheets) > 1 else {}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _text(sheet: Any) -> str:
    """A sheet as CSV, without its empty rows and the empty columns before the table."""
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    for merged in sheet.merged_cells.ranges:
        value = rows[merged.min_row - 1][merged.min_col - 1]
        for row in rows[merged.min_row - 1 : merged.max_row]:
            row[merged.min_col - 1 : merged.max_col] = [value] * (merged.max_col - merged.min_col + 1)
    texts = [["" if cell is None else " ".join(str(cell).split()) for cell in row] for row in rows]
    kept = [place for place, column in enumerate(zip(*texts, strict=True)) if any(column)]
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([row[place] for place in kept] for row in texts if any(row))
    return sink.getvalue()


def _tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as such, the others as texts."""
    for name in frame.columns:
        numbers = pd.to_numeric(frame[name], errors="coerce")
        whole = numbers.notna() | frame[name].isna()
        frame[name] = numbers if whole.all() else frame[name].astype("string")
    return frame
