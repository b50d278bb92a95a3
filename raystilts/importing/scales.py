"""Scores in percent or as fractions, lower-is-better metrics, sizes in rows or as fractions, gains as scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.kinds import direction, is_rate, is_signed, words
from raystilts.importing.reading import COLUMN, FILE, ROW

Scale = Literal["auto", "percent", "fraction"]
#: A fraction may exceed 1 by rounding.
_ROUNDING = 1e-3
#: Words of columns that mark gains over the baseline among scores.
_SCORES = ("value", "score", "absolute", "raw", "result", "abs")
_GAINS = ("delta", "gain", "difference", "diff", "improvement")


def where_of(row: pd.Series) -> str:
    """File, row and column of a row, as errors name it."""
    column = f", column {row[COLUMN]!r}" if row[COLUMN] else ""
    return f"{row[FILE]} row {int(row[ROW])}{column}"


def to_fractions(rows: pd.DataFrame, scale: Scale, signed: Collection[str], said: list[str]) -> pd.DataFrame:
    """`value` (and `std` and `stderr`) as fractions of 1, by metric and target.

    Raises:
        UserError: A score can be neither, or a target has both.
    """
    keys = [rows["metric"].astype(str), rows["target"].astype(str)]
    values = rows["value"]
    largest = values.abs().groupby(keys).max()
    percents = rows["percent"].groupby(keys).any() if "percent" in rows.columns else largest * 0 > 0
    percent = percents | ((largest > 1.0 + _ROUNDING) if scale == "auto" else (largest >= 0) & (scale == "percent"))
    if scale == "fraction":
        percent &= False
    flags = (
        pd.Series(pd.MultiIndex.from_arrays(keys).map(percent.to_dict()), index=rows.index).fillna(False).astype(bool)
    )
    if scale == "auto":
        _check_mixed(rows, flags & ~rows.get("percent", flags & False).astype(bool), keys)
    _check_range(rows, flags, scale, signed)
    rows = rows.assign(value=values.where(~flags, values / 100.0))
    over = (rows["value"].abs() > 1.0) & (rows["value"].abs() <= 1.0 + _ROUNDING)
    rows["value"] = rows["value"].mask(over, rows["value"].clip(-1.0, 1.0))
    for name in ("std", "stderr"):
        if name in rows.columns:
            rows[name] = rows[name].where(~flags, rows[name] / 100.0)
    _say_scales(percent, scale, said)
    return rows


def _say_scales(percent: pd.Series[bool], scale: Scale, said: list[str]) -> None:
    how = "as told" if scale != "auto" else "the largest tells"
    kinds: dict[str, dict[str, list[str]]] = {"percent": {}, "fractions of 1": {}}
    flags: dict[tuple[str, str], bool] = percent.to_dict()  # type: ignore[assignment]
    for (metric, target), flag in flags.items():
        kinds["percent" if flag else "fractions of 1"].setdefault(metric, []).append(target)
    for name, metrics in kinds.items():
        other = kinds["percent" if name != "percent" else "fractions of 1"]
        whole = [metric for metric in metrics if metric not in other]
        if whole:
            said.append(f"{', '.join(whole)}: scores in {name} ({how})")
        for metric, targets in metrics.items():
            if metric in other:
                said.append(f"{metric} of {_few(targets)}: scores in {name} ({how}); if not: --scale percent|fraction")


def _few(names: Collection[str]) -> str:
    return ", ".join(list(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _check_mixed(rows: pd.DataFrame, flags: pd.Series[bool], keys: list[pd.Series]) -> None:
    """A target with scores in percent and in fractions: those up to 1, times 100, are among the others."""
    values = rows["value"].abs()
    small = flags & (values <= 1.0) & (values > 0.0)
    if not small.any():
        return
    big = values.where(flags & (values > 1.0))
    low, high = big.groupby(keys).transform("min"), big.groupby(keys).transform("max")
    amid = small & (values * 100.0 >= 0.7 * low) & (values * 100.0 <= 1.3 * high) & (values > 0.05)
    amid &= low >= 5.0  # where percents come near 1, small ones are percents too
    if amid.any():
        targets = rows.loc[amid, "target"].astype(str).unique()
        first = rows[amid].iloc[0]
        raise UserError(
            f"{where_of(first)}: {first['metric']} {first['value']:g} of {_few(targets)} looks like a fraction among "
            f"percents; say --scale percent if it is one ({int(amid.sum())} such rows), or mend the file"
        )


def _check_range(rows: pd.DataFrame, flags: pd.Series[bool], scale: Scale, signed: Collection[str]) -> None:
    limit = flags.map({True: 100.0, False: 1.0 + _ROUNDING}).astype(float)
    metrics = {name: is_signed(str(name), signed) for name in rows["metric"].unique()}
    low = -limit * rows["metric"].map(metrics).astype(float)
    wrong = (rows["value"] > limit + 1e-9) | (rows["value"] < low - 1e-9)
    if wrong.any():
        first = rows[wrong].iloc[0]
        top = 100.0 if flags[wrong].iloc[0] else 1.0
        below = -top if metrics[first["metric"]] else 0.0
        hint = "for differences from the baseline give --difference COLUMN=VALUE"
        if first["value"] < 0:
            hint = f"for a metric that may be negative give --signed {first['metric']}; {hint}"
        elif scale == "auto":
            hint = f"a metric where lower is better is told by --lower {first['metric']}; {hint}"
        raise UserError(
            f"{where_of(first)}: {first['metric']} {first['value']:g} is no score between {below:g} and {top:g} "
            f"({int(wrong.sum())} such rows of {_few(rows.loc[wrong, 'target'].astype(str).unique())}). Leave rows out "
            f"with --where COLUMN=VALUE; {hint}"
        )


def by_direction(
    rows: pd.DataFrame, lower: Collection[str], higher: Collection[str], wanted: Collection[str], said: list[str]
) -> pd.DataFrame:
    """Only metrics that are better when higher: rates of errors turned over, losses and costs left out.

    Args:
        lower: Metrics that the user says are better when lower; likewise `higher`.
        wanted: Metrics that the user wants to judge by.

    Raises:
        UserError: Nothing is left, or a metric that is wanted cannot be turned into a score.
    """
    names = [str(name) for name in rows["metric"].dropna().unique()]
    for option, given in (("--lower", lower), ("--higher", higher)):
        for name in given:
            if name not in names:
                raise UserError(f"{option} {name}: not in the table; {did_you_mean(name, names)}")
    away: dict[str, list[str]] = {"lower is better": [], "no score": []}
    for name in names:
        way = "higher" if name in higher else "lower" if name in lower else direction(name)
        if way == "lower" and (is_rate(name) or name in lower) and _is_share(rows, name):
            mine = rows["metric"] == name
            whole = 100.0 if rows.loc[mine, "value"].max() > 1.0 + _ROUNDING else 1.0
            rows = rows.assign(
                value=rows["value"].mask(mine, whole - rows["value"]), metric=rows["metric"].mask(mine, f"1-{name}")
            )
            said.append(f"{name}: lower is better, turned into 1-{name} (--higher {name} says otherwise)")
        elif way == "lower":
            away["lower is better"].append(name)
        elif way == "cost":
            away["no score"].append(name)
    for why, metrics in away.items():
        asked = [name for name in metrics if name in wanted]
        if asked or (metrics and len(metrics) == len(names)):
            raise UserError(
                f"{(asked or metrics)[0]}: {why}, and runs are ranked by scores from 0 to 1, higher for better; "
                f"judge by another metric, or give --higher {(asked or metrics)[0]} if higher is better"
            )
        if metrics:
            said.append(f"left out ({why}): {', '.join(metrics)} (--higher NAME says otherwise)")
    gone = [name for metrics in away.values() for name in metrics]
    kept = rows[~rows["metric"].isin(gone)]
    if not len(kept):
        raise UserError(f"no metric where higher is better, only {', '.join(gone)}; give --higher NAME if one is")
    return kept


def _is_share(rows: pd.DataFrame, metric: str) -> bool:
    values = rows.loc[rows["metric"] == metric, "value"]
    return bool(values.min() >= 0.0 and values.max() <= 100.0)


def marked_gains(rows: pd.DataFrame, frame: pd.DataFrame, unused: Collection[str]) -> dict[str, str]:
    """A column whose values are such as `value` and `delta`, and the one that marks gains."""
    for name in unused:
        values = [str(value) for value in frame[name].dropna().unique()[:5]]
        gains = [value for value in values if set(words(value)) & set(_GAINS)]
        scores = [value for value in values if set(words(value)) & set(_SCORES)]
        if len(values) == 2 and len(gains) == 1 and len(scores) == 1 and gains != scores:
            return {name: gains[0]}
    return {}


def absolute(rows: pd.DataFrame, frame: pd.DataFrame, differences: Mapping[str, str], said: list[str]) -> pd.DataFrame:
    """Adds the baseline's score to rows that hold a difference from it.

    Args:
        rows: Columns intermediate, target, language, split, metric and value; index as in `frame`.
        frame: The table as it was read, with the column that tells differences.
        differences: Column to value.

    Raises:
        UserError: There is no such row, or no baseline for one.
    """
    place = ["target", "language", "split", "metric"]
    for name, value in differences.items():
        if name not in frame.columns:
            names = [str(column) for column in frame.columns]
            raise UserError(f"--difference {name}={value}: no column {name!r}; {did_you_mean(name, names)}")
        chosen = (frame[name].astype(str) == value).reindex(rows.index)
        if not chosen.any():
            found = sorted(set(frame[name].astype(str)))
            raise UserError(f"--difference {name}={value}: no row has it; {did_you_mean(value, found)}")
        base = rows[(rows["intermediate"] == "none") & ~chosen].groupby(place)["value"].mean().rename("base")
        added = rows.join(base, on=place)["base"]
        lost = chosen & added.isna() & rows["value"].notna()
        if lost.any():
            target = rows.loc[lost, "target"].iloc[0]
            raise UserError(
                f"--difference {name}={value}: there is no baseline of target {target} to add it to; leave such rows "
                f"out with --where 'COLUMN!={target}'"
            )
        rows = rows.assign(value=rows["value"].where(~chosen, rows["value"] + added))
        said.append(f"{int(chosen.sum())} differences added to the baseline of the same target")
    return rows


def to_shares(rows: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Data sizes as shares of the whole; numbers of rows are divided by the largest of each task.

    Raises:
        UserError: A size is below zero, or shares and numbers of rows are mixed.
    """
    for name, group in (("intermediate_fraction", "intermediate"), ("target_fraction", "target")):
        sizes = rows[name]
        if sizes.isna().all():
            continue
        if (sizes <= 0).any():
            raise UserError(f"{name}: {sizes.min():g} is not above 0; give shares such as 0.1, or numbers of rows")
        if sizes.max() <= 1.0:
            continue
        if (sizes < 1.0).any():
            raise UserError(
                f"{name}: {sizes.min():g} is a share and {sizes.max():g} a number of rows; give one of them everywhere"
            )
        rows = rows.assign(**{name: sizes / sizes.groupby(rows[group]).transform("max")})
        said.append(f"{name}: up to {sizes.max():g}, so these are numbers of rows; each task's largest is 1")
    return rows
