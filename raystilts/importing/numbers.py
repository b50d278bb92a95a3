"""Numbers as people write them: `70.4%`, `55,7`, `55.7 ± 0.5`, `**55.7**`, and cells that say that there is none."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

#: What stands in cells without a number, in lower case.
MISSING = frozenset((
    "", "-", "--", "---", "—", "–", "n/a", "#n/a", "na", "<na>", "n.a.", "nan", "none", "null", "nil", ".", "?", "x",
    "#div/0!", "#value!", "#ref!", "#name?", "#num!", "missing", "tbd", "todo", "pending", "n/r", "✗", "oom",
))  # fmt: skip
_MARKUP = re.compile(r"\\(?:textbf|textit|underline|mathbf|emph|cellcolor\{[^}]*\})\s*\{|[{}$*†‡_`~]|\\,")
_PLUS_MINUS = re.compile(r"\s*(?:±|\+/-|\+-|\\pm)\s*")
_IN_BRACKETS = re.compile(r"^(?P<mean>[^()\[\]]+?)\s*[(\[]\s*(?:±|\+/-|sd\s*=?|std\s*=?)?\s*(?P<std>[^()\[\]]+)[)\]]$")
_EUROPEAN = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:e[+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:[, ' ]\d{3})+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: NaN where a cell is empty or says that there is no number.
        spreads: What follows a plus-minus sign; NaN elsewhere.
        wrong: Whether a cell holds something else than a number.
        european: Cells with a decimal comma.
        percents: Whether a cell has a percent sign.
    """

    values: pd.Series[float]
    spreads: pd.Series[float]
    wrong: pd.Series[bool]
    european: int
    percents: pd.Series[bool]


def to_numbers(column: pd.Series, *, sizes: bool = False) -> Numbers:
    """Reads a column.

    Args:
        sizes: Counts, where `1,000` is a thousand; elsewhere a comma alone starts decimals.
    """
    nothing = pd.Series(False, index=column.index)
    nan = pd.Series(math.nan, index=column.index)
    if is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype):
        values = column.astype("float64")
        infinite = values.abs() == math.inf
        return Numbers(values.mask(infinite), nan, infinite, 0, nothing)
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    rest = column[(values.isna() | (values.abs() == math.inf)) & column.notna()].astype(str)
    if not len(rest):
        return Numbers(values, nan, nothing, 0, nothing)
    found = {text: _parse(text, sizes) for text in rest.unique()}
    values = values.mask(values.abs() == math.inf)
    values.loc[rest.index] = rest.map({text: one.value for text, one in found.items()}).astype(float)
    nan.loc[rest.index] = rest.map({text: one.spread for text, one in found.items()}).astype(float)
    wrong, percents = nothing.copy(), nothing.copy()
    wrong.loc[rest.index] = rest.map({text: one.wrong for text, one in found.items()}).astype(bool)
    percents.loc[rest.index] = rest.map({text: one.percent for text, one in found.items()}).astype(bool)
    european = int(rest.map({text: one.european for text, one in found.items()}).sum())
    return Numbers(values, nan, wrong, european, percents)


def numeric_share(column: pd.Series) -> float:
    """The share of the cells that are not missing which hold a number; 0 where all are missing."""
    if is_bool_dtype(column.dtype):
        return 0.0
    head = column.dropna().head(2000)
    numbers = to_numbers(head)
    there = int((numbers.values.notna() | numbers.wrong).sum())
    return int(numbers.values.notna().sum()) / there if there else 0.0


def is_missing(column: pd.Series) -> pd.Series[bool]:
    """Whether cells are empty or say that there is nothing."""
    if is_numeric_dtype(column.dtype):
        return column.isna()
    texts = column.astype("string")
    known = [text for text in texts.dropna().unique() if text.strip().lower() in MISSING]
    return texts.isna() | texts.isin(known)


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    spread: float = math.nan
    wrong: bool = False
    european: bool = False
    percent: bool = False


def _parse(text: str, sizes: bool) -> _Number:
    plain = _MARKUP.sub("", text).strip().replace("\u2212", "-").replace("\u00a0", " ")
    if plain.lower() in MISSING:
        return _Number(math.nan)
    spread = math.nan
    parts = _PLUS_MINUS.split(plain)
    bracketed = _IN_BRACKETS.match(plain)
    if len(parts) == 2:
        plain, spread = parts[0], _single(parts[1].strip(" ()[]"), sizes)[0]
    elif bracketed:
        plain, spread = bracketed["mean"], _single(bracketed["std"], sizes)[0]
    value, european, percent = _single(plain.strip(), sizes)
    if math.isnan(value) or ((len(parts) == 2 or bracketed) and math.isnan(spread)):
        return _Number(math.nan, wrong=True)
    return _Number(value, spread, False, european, percent)


def _single(text: str, sizes: bool) -> tuple[float, bool, bool]:
    """A number without its spread, whether it has a decimal comma, and whether a percent sign."""
    percent = text.endswith("%")
    text = text.rstrip("% ").strip()
    european = False
    if _THOUSANDS.fullmatch(text) and (sizes or "." in text or text.count(",") > 1):
        text = re.sub(r"[, ' ]", "", text)
    elif _EUROPEAN.fullmatch(text):
        text, european = text.replace(".", "").replace(",", "."), True
    try:
        value = float(text) if re.fullmatch(r"[-+.\deE]+", text) else math.nan
    except ValueError:
        value = math.nan
    return (math.nan if math.isinf(value) else value), european, percent
