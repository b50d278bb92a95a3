"""Scores in percent or as fractions, sizes in rows or as fractions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from raystilts.errors import UserError, did_you_mean

Scale = Literal["auto", "percent", "fraction"]
#: Metrics that may be below zero.
_SIGNED = ("pearson", "spearman", "matthews", "mcc", "kappa", "correlation", "corr", "kendall")


def to_fractions(values: pd.Series[float], metrics: pd.Series[str], scale: Scale) -> tuple[pd.Series[float], list[str]]:
    """Scores as fractions of 1, and what was concluded of the scale, by metric.

    Raises:
        UserError: A score can be neither.
    """
    said, result = [], values.copy()
    scales: dict[str, list[str]] = {}
    for metric, mine in values.groupby(metrics, sort=False):
        name = str(metric)
        _check_range(mine.dropna(), name, scale)
        percent = scale == "percent" or (scale == "auto" and bool(mine.abs().max() > 1.0))
        scales.setdefault("percent" if percent else "fraction", []).append(name)
        if percent:
            result[mine.index] = mine / 100.0
    how = "as told" if scale != "auto" else "the largest tells"
    for kind, names in scales.items():
        said.append(f"{', '.join(names)}: scores in {'percent' if kind == 'percent' else 'fractions of 1'} ({how})")
    if len(scales) > 1:
        said.append("some metrics are in percent and some in fractions: is that right? If not: --scale percent")
    return result, said


def _check_range(values: pd.Series[float], metric: str, scale: Scale) -> None:
    limit = 1.0 if scale == "fraction" else 100.0
    low = -limit if any(word in metric.lower() for word in _SIGNED) else 0.0
    wrong = values[(values > limit) | (values < low)]
    if len(wrong):
        raise UserError(
            f"row {int(wrong.index[0]) + 1}: {metric} {wrong.iloc[0]:g} is no score between {low:g} and {limit:g} "
            f"({len(wrong)} such rows). Scores must be higher for better. For differences from the baseline give "
            "--difference COLUMN=VALUE; leave rows out with --where COLUMN=VALUE"
        )


def to_shares(sizes: pd.Series[float], groups: pd.Series[str], name: str) -> tuple[pd.Series[float], list[str]]:
    """Data sizes as shares of the whole; numbers of rows are divided by the largest of each task.

    Raises:
        UserError: A size is not above zero.
    """
    if sizes.isna().all():
        return sizes, []
    if (sizes <= 0).any():
        raise UserError(f"{name}: {sizes.min():g} is not above 0; give shares such as 0.1, or numbers of rows")
    if sizes.max() <= 1.0:
        return sizes, []
    whole = sizes.groupby(groups).transform("max")
    return sizes / whole, [f"{name}: up to {sizes.max():g}, so these are numbers of rows; each task's largest is 1"]


def absolute(rows: pd.DataFrame, frame: pd.DataFrame, differences: Mapping[str, str], said: list[str]) -> pd.DataFrame:
    """Adds the baseline's score to rows that hold a difference from it.

    Args:
        rows: Columns intermediate, target, language, split, metric and value.
        frame: The table as it was read, with the column that tells differences.
        differences: Column to value, see `Options.differences`.

    Raises:
        UserError: There is no such row, or no baseline for one.
    """
    place = ["target", "language", "split", "metric"]
    for name, value in differences.items():
        if name not in frame.columns:
            names = [str(column) for column in frame.columns]
            raise UserError(f"--difference {name}={value}: no column {name!r}; {did_you_mean(name, names)}")
        chosen = frame[name].astype(str) == value
        if not chosen.any():
            found = sorted(set(frame[name].astype(str)))
            raise UserError(f"--difference {name}={value}: no row has it; {did_you_mean(value, found)}")
        base = rows[(rows["intermediate"] == "none") & ~chosen].groupby(place)["value"].mean().rename("base")
        added = rows.join(base, on=place)["base"]
        if added[chosen].isna().any():
            target = rows.loc[chosen & added.isna(), "target"].iloc[0]
            raise UserError(
                f"--difference {name}={value}: there is no baseline of target {target} to add it to; leave such rows "
                f"out with --where 'COLUMN!={target}'"
            )
        rows = rows.assign(value=rows["value"].where(~chosen, rows["value"] + added))
        said.append(f"{int(chosen.sum())} differences added to the baseline of the same target")
    return rows
