"""Scores in percent or as fractions, lower-is-better metrics, sizes in rows or as fractions, gains as scores."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Literal

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.kinds import direction, is_rate, is_signed, words
from raystilts.importing.reading import COLUMN, FILE, ROW

Scale = Literal["auto", "percent", "fraction"]
#: A fraction may exceed 1 by rounding.
_ROUNDING = 1e-3
#: Above this a score is surely in percent, and far from those that may be either.
_SURELY = 5.0
#: Rates that may exceed 1: what was inserted counts too.
_ABOVE_ONE = frozenset(("wer", "cer", "ter"))
_GROUPS = {"seed_name": "seed", FILE: "file"}
_APART = "Give --scale percent if all are; else mend the file, or import the fractions apart, with --scale fraction"
#: Words of columns that mark gains over the baseline among scores.
_SCORES = ("value", "score", "absolute", "raw", "result", "abs")
_GAINS = ("delta", "gain", "difference", "diff", "improvement")


def where_of(row: pd.Series) -> str:
    """File, row and column of a row, as errors name it."""
    column = f", column {row[COLUMN]!r}" if row[COLUMN] else ""
    return f"{row[FILE]} row {int(row[ROW])}{column}"


def to_fractions(rows: pd.DataFrame, scale: Scale, signed: Collection[str], said: list[str]) -> pd.DataFrame:
    """`value` (and `std` and `stderr`) as fractions of 1, by metric and target; errors as one minus themselves.

    A cell with a percent sign is in percent, whatever `scale` says of the others.

    Args:
        rows: Also with the columns percent (a cell has a percent sign), turned (see `by_direction`) and added_to (see
            `absolute`), as far as they are there; the last two are dropped.

    Raises:
        UserError: A score can be neither, or a target has both.
    """
    keys = [rows["metric"].astype(str), rows["target"].astype(str)]
    signs, turned = _marked(rows, "percent"), _marked(rows, "turned")
    values = rows["value"]
    if scale == "auto":
        flags = signs | (values.abs().mask(signs).groupby(keys).transform("max") > 1.0 + _ROUNDING)
        _check_signs(rows, signs, flags, keys)
        _check_differences(rows)
        _check_mixed(rows, signs, flags, keys)
        _check_rates(rows[turned], signs[turned], flags[turned])
    else:
        flags = signs | (scale == "percent")
        if scale == "fraction" and signs.any():
            said.append(f"{int(signs.sum())} values with a percent sign are in percent all the same")
    _check_range(rows, flags, scale, signed)
    by_target = flags.groupby(keys)
    _say_scales(by_target.all() if scale == "fraction" else by_target.any(), scale, said)
    rows = rows.assign(value=values.where(~flags, values / 100.0))
    over = (rows["value"].abs() > 1.0) & (rows["value"].abs() <= 1.0 + _ROUNDING)
    rows["value"] = rows["value"].mask(over, rows["value"].clip(-1.0, 1.0))
    for name in ("std", "stderr"):
        if name in rows.columns:
            rows[name] = rows[name].where(~flags, rows[name] / 100.0)
            _check_spread(rows, name)
    rows["value"] = rows["value"].mask(turned, 1.0 - rows["value"])
    return rows.drop(columns=["turned", "added_to"], errors="ignore")


def _marked(rows: pd.DataFrame, name: str) -> pd.Series[bool]:
    return rows[name].astype(bool) if name in rows.columns else pd.Series(False, index=rows.index)


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


def _name(row: pd.Series) -> str:
    """A metric as the file calls it."""
    return str(row["metric"]).removeprefix("1-") if row.get("turned", False) else str(row["metric"])


def _check_signs(rows: pd.DataFrame, signs: pd.Series[bool], flags: pd.Series[bool], keys: list[pd.Series]) -> None:
    """Cells without a percent sign and up to 1, in a target with percent signs: percents or fractions."""
    odd = signs.groupby(keys).transform("any") & ~flags & (rows["value"].abs() > 0.0)
    if odd.any():
        first = rows[odd].iloc[0]
        raise UserError(
            f"{where_of(first)}: {_name(first)} {first['value']:g} of {first['target']} has no percent sign, others of "
            f"{first['target']} have ({int(odd.sum())} such rows); give --scale fraction if it is a fraction, "
            "--scale percent if it is in percent"
        )


def _check_differences(rows: pd.DataFrame) -> None:
    """Differences in percent from baselines that are fractions."""
    if "added_to" not in rows.columns:
        return
    base = rows["added_to"]
    odd = (base.abs() <= 1.0) & (base != 0.0)
    odd &= ((rows["value"] - base).abs() > 1.0) | (rows["value"].abs() > 1.0 + _ROUNDING)
    if odd.any():
        first = rows[odd].iloc[0]
        raise UserError(
            f"{where_of(first)}: {_name(first)} of {first['target']} is {first['value'] - first['added_to']:g} more "
            f"than the baseline's {first['added_to']:g} ({int(odd.sum())} such rows). Give --scale percent if both "
            "are in percent; else write both as fractions"
        )


def _check_mixed(rows: pd.DataFrame, signs: pd.Series[bool], flags: pd.Series[bool], keys: list[pd.Series]) -> None:
    """A target with scores in percent and in fractions."""
    values = rows["value"].abs()
    big = values.where(flags & (values > 1.0))
    low, high = big.groupby(keys).transform("min"), big.groupby(keys).transform("max")
    small = flags & ~signs & (values <= 1.0) & (values > 0.0) & (high >= _SURELY)
    if not small.any():
        return
    for name in ("split", "language"):
        _check_group(rows, small, high, keys, name)
    small &= low >= _SURELY  # where percents come near 1, small ones are percents too
    # Single scores that, times 100, are among the others; those far from them may be of runs that learned nothing.
    amid = small & (values * 100.0 >= 0.7 * low) & (values * 100.0 <= 1.3 * high) & (values > 0.05)
    if amid.any():
        targets = rows.loc[amid, "target"].astype(str).unique()
        first = rows[amid].iloc[0]
        raise UserError(
            f"{where_of(first)}: {_name(first)} {first['value']:g} of {_few(targets)} looks like a fraction among "
            f"percents; say --scale percent if it is in percent ({int(amid.sum())} such rows), or mend the file"
        )
    for name in ("intermediate", "encoder", "hyperparameters", "seed_name", FILE):
        if name in rows.columns:
            _check_group(rows, small, high, keys, name)


def _check_group(
    rows: pd.DataFrame, small: pd.Series[bool], high: pd.Series[float], keys: list[pd.Series], name: str
) -> None:
    """A split, a language... of a target of which no score is above 1, where others are surely in percent."""
    low = small & (rows["value"].abs().groupby([*keys, rows[name].astype(str)]).transform("max") <= 1.0)
    if not low.any():
        return
    odd = rows[low]
    first = odd.iloc[0]
    for one in ("metric", "target", name):
        odd = odd[odd[one].astype(str) == str(first[one])]
    raise UserError(
        f"{where_of(first)}: {_name(first)} of {first['target']} is {_values(odd)} for "
        f"{_GROUPS.get(name, name)} {first[name]} and up to {high[low].iloc[0]:g} for others: percent or fractions? "
        f"{_APART}"
    )


def _check_rates(rows: pd.DataFrame, signs: pd.Series[bool], flags: pd.Series[bool]) -> None:
    """Rates of errors in which small values say nothing: 0.5 beside 20 may be 0.5 % or a half.

    A target up to 1 is in fractions beside targets in percent only if these would have such values in percent.
    """
    if not len(rows):
        return
    keys = [rows["metric"].astype(str), rows["target"].astype(str)]
    values = rows["value"]
    for name in rows["metric"].astype(str).unique():
        if set(words(name)) & _ABOVE_ONE:
            plain = values.where(~signs & (rows["metric"] == name) & (values > 0.0)).groupby(keys)
            least, most = plain.transform("min"), plain.transform("max")
            odd = (least <= 1.0) & (most > 1.0 + _ROUNDING) & (most < _SURELY)
            _refuse_rates(rows[odd], "around 1", "Give --scale percent or --scale fraction")
    medians, percent = values.groupby(keys).median(), flags.groupby(keys).any()
    fractions: dict[tuple[str, str], float] = medians[~percent & (medians > 0.0)].to_dict()  # type: ignore[assignment]
    for (name, target), median in fractions.items():
        others = medians[percent & (medians.index.get_level_values(0) == name)]
        if len(others) and not others.min() / 2.0 <= 100.0 * median <= others.max() * 2.0:
            mine = rows[(keys[0] == name) & (keys[1] == target)]
            _refuse_rates(mine, f"and that of {_few(others.index.get_level_values(1))} in percent", _APART)


def _refuse_rates(rows: pd.DataFrame, why: str, todo: str) -> None:
    if len(rows):
        first = rows.iloc[0]
        mine = rows[(rows["metric"] == first["metric"]) & (rows["target"] == first["target"])]
        raise UserError(
            f"{where_of(first)}: {_name(first)} of {first['target']} is {_values(mine)}, {why}: percent or fractions? "
            f"{todo}"
        )


def _values(rows: pd.DataFrame) -> str:
    return _few([f"{value:g}" for value in rows["value"].dropna().unique()])


def _check_spread(rows: pd.DataFrame, name: str) -> None:
    """Runs from 0 to 1 have at most a standard deviation of 0.71 (two runs, 0 and 1); from -1 twice that."""
    wrong = (rows[name] > (0.7072 if (rows["value"] >= 0.0).all() else 1.4143)) & (rows["runs"] > 1)
    if wrong.any():
        first = rows[wrong].iloc[0]
        raise UserError(
            f"{where_of(first)}: no runs can have {_name(first)} {first['value']:g} with {name} {first[name]:g}, as "
            f"fractions of 1 ({int(wrong.sum())} such rows). Write both in percent, or both as fractions"
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
            f"{where_of(first)}: {_name(first)} {first['value']:g} is no score between {below:g} and {top:g} "
            f"({int(wrong.sum())} such rows of {_few(rows.loc[wrong, 'target'].astype(str).unique())}). Leave rows out "
            f"with --where COLUMN=VALUE; {hint}"
        )


def by_direction(
    rows: pd.DataFrame, lower: Collection[str], higher: Collection[str], wanted: Collection[str], said: list[str]
) -> pd.DataFrame:
    """Only metrics that are better when higher: rates of errors turned over, losses and costs left out.

    Rates have their new names here, and are marked in a column turned; their values are turned over by `to_fractions`,
    which knows whether they are in percent.

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
    turned = pd.Series(False, index=rows.index)
    for name in names:
        way = "higher" if name in higher else "lower" if name in lower else direction(name)
        if way == "lower" and (is_rate(name) or name in lower) and _is_share(rows, name):
            mine = rows["metric"] == name
            turned |= mine
            rows = rows.assign(metric=rows["metric"].mask(mine, f"1-{name}"))
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
    kept = rows.assign(turned=turned)[~rows["metric"].isin(gone)]
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
    """Adds the baseline's score to rows that hold a difference from it, and tells it in a column added_to.

    Args:
        rows: Columns intermediate, target, language, split, metric and value; index as in `frame`.
        frame: The table as it was read, with the column that tells differences.
        differences: Column to value.

    Raises:
        UserError: There is no such row, no baseline for one, or its metric is better when lower.
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
        if (over := chosen & _marked(rows, "turned")).any():
            first = rows[over].iloc[0]
            raise UserError(
                f"--difference {name}={value}: {where_of(first)}: {_name(first)} is better when lower, so that a "
                "difference may mean either way; give scores instead, or leave such rows out with --where COLUMN=VALUE"
            )
        base = rows[(rows["intermediate"] == "none") & ~chosen].groupby(place)["value"].mean().rename("base")
        added = rows.join(base, on=place)["base"]
        lost = chosen & added.isna() & rows["value"].notna()
        if lost.any():
            target = rows.loc[lost, "target"].iloc[0]
            raise UserError(
                f"--difference {name}={value}: there is no baseline of target {target} to add it to; leave such rows "
                f"out with --where 'COLUMN!={target}'"
            )
        known = rows["added_to"] if "added_to" in rows.columns else added * math.nan
        rows = rows.assign(
            value=rows["value"].where(~chosen, rows["value"] + added), added_to=known.where(~chosen, added)
        )
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
