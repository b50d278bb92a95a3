"""The rows of a reading with our names, each run and score once."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.columns import Columns, hyperparameter_columns
from raystilts.importing.kinds import seed_of, split_name, without_split
from raystilts.importing.numbers import is_missing, to_numbers
from raystilts.importing.reading import COLUMN, PLACES, Reading
from raystilts.importing.scales import where_of

Repeats = Literal["refuse", "first", "average"]
#: What one run is known by; a stage of the ledger each.
CELL = ("encoder", "intermediate", "intermediate_fraction", "target", "target_fraction", "hyperparameters", "seed")
#: What one score is known by.
KEY = (*CELL, "split", "language", "metric", "step")
_DEFAULTS = {"language": "en", "split": "test", "metric": "score", "encoder": "unknown"}
#: States of runs in columns of W&B, MLflow, Ray Tune, Optuna, Slurm and others, in lower case.
_FAILED = ("failed", "fail", "crashed", "error", "errored", "killed", "failure", "oom", "out_of_memory", "node_fail",
           "timeout")  # fmt: skip
_UNFINISHED = ("running", "pending", "queued", "scheduled", "waiting", "paused", "pruned", "stopped", "preempting",
               "preempted", "cancelled", "canceled", "interrupted", "unfinished", "incomplete")  # fmt: skip


def arranged(reading: Reading, columns: Columns, said: list[str]) -> pd.DataFrame:
    """The columns of `KEY` and value, std, runs, examples, failed, `PLACES` and origin (the row of `Reading.frame`).

    Rows without a value are left out, but those of runs that a column says have failed.

    Raises:
        UserError: Something is missing, or no number where one belongs.
    """
    frame, of = reading.frame, columns.of
    rows = frame[list(PLACES)].assign(origin=frame.index)
    for name in ("intermediate", "target", "language", "split", "metric", "encoder"):
        rows[name] = _texts(frame, columns, name, said)
    value, percents = _values(frame, columns, said)
    rows["value"] = value
    if percents.any():
        rows["percent"] = percents
    for name in ("std", "stderr", "runs"):
        found = _constant(frame, columns, name)
        rows[name] = found if found is not None else float("nan")
    spreads = to_numbers(frame[of["value"]]).spreads if value.notna().any() else value
    rows["std"] = rows["std"].fillna(spreads)
    rows["failed"] = _in_state(frame, columns, _FAILED)
    unfinished = _in_state(frame, columns, _UNFINISHED) & rows["value"].notna()
    if unfinished.any():
        states = ", ".join(sorted(set(_states(frame[unfinished], columns))))
        said.append(
            f"{int(unfinished.sum())} scores of runs that have not ended ({states}) left out: they are of a part of a "
            "training (--column status= keeps them)"
        )
        rows["value"] = rows["value"].mask(unfinished)
    partial = rows["failed"] & rows["value"].notna()
    if partial.any():
        said.append(
            f"{int(partial.sum())} scores of failed runs left out: they are of a part of a training "
            "(--column status= keeps them)"
        )
        rows["value"] = rows["value"].mask(partial)
    for name in ("step", "examples"):
        found = _constant(frame, columns, name)
        rows[name] = (found if found is not None else value * 0).fillna(0).astype("int64")
    for name in ("intermediate_fraction", "target_fraction"):
        found = _constant(frame, columns, name)
        rows[name] = found if found is not None else float("nan")
    rows["hyperparameters"] = _hyperparameters(frame, columns)
    seeds = columns.constants.get("seed")
    rows["seed_name"] = frame[of["seed"]] if "seed" in of else pd.Series(pd.NA, rows.index, "string")
    if seeds is not None:
        rows["seed_name"] = _filled(rows["seed_name"], seeds, "seed", of, said)
    empty = rows["value"].isna() & ~rows["failed"]
    if empty.any():
        said.append(f"{int(empty.sum())} cells without a value left out: missing, not failed")
    rows = rows[~empty]
    if not len(rows):
        raise UserError(f"{reading.files[0].name}: no cell of column {of['value']!r} has a value")
    return _checked(rows, columns)


def sure_sizes(reading: Reading, columns: Columns, told: Mapping[str, str]) -> tuple[Columns, list[str]]:
    """The columns, without a size of data that was only guessed and is no number everywhere: such names make arms."""
    of, said = dict(columns.of), []
    for name in ("intermediate_fraction", "target_fraction"):
        theirs = of.get(name, "")
        numbers = to_numbers(reading.frame[theirs], sizes=True) if theirs and name not in told else None
        if numbers is not None and numbers.wrong.any():
            odd = reading.frame[theirs][numbers.wrong].astype(str).unique()
            del of[name]
            of["hyperparameters"] = ",".join([*hyperparameter_columns(columns), theirs])
            said.append(
                f"{theirs} is no size everywhere ({', '.join(odd[:3])}): each value is an arm of its own "
                f"({' '.join(f'--where {theirs}!={value}' for value in odd[:3])} leaves such rows out)"
            )
    return dataclasses.replace(columns, of=of), said


def _checked(rows: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    for name in ("target", "language", "split", "metric", "encoder"):
        lost = rows[name].isna()
        if lost.any():
            where = where_of(rows[lost].iloc[0])
            raise UserError(
                f"{where}: no {name} in column {columns.of.get(name)!r}; --set {name}=VALUE fills what is empty, "
                "--where leaves rows out"
            )
    return rows


def _texts(frame: pd.DataFrame, columns: Columns, name: str, said: list[str]) -> pd.Series[str]:
    """A column of names; what --set says fills empty cells, or stands for the whole column."""
    constant = columns.constants.get(name)
    if name not in columns.of:
        default = constant if constant is not None else _DEFAULTS.get(name)
        if constant is None and default is not None:
            said.append(f"no column for {name}: {default} (--set {name}=... says otherwise)")
        return pd.Series(default, frame.index, "string")
    column = frame[columns.of[name]]
    texts = column.astype("string").str.strip() if name in ("split", "metric") else column.astype("string")
    if constant is not None:
        return _filled(texts, constant, name, columns.of, said)
    return texts


def _filled(column: pd.Series, constant: str, name: str, of: Mapping[str, str], said: list[str]) -> pd.Series:
    empty = column.isna()
    if name in of and not empty.any():
        said.append(f"--set {name}={constant} stands for all of column {of[name]!r}")
        empty = empty | True
    return column.astype("string").mask(empty, constant)


def _values(frame: pd.DataFrame, columns: Columns, said: list[str]) -> tuple[pd.Series[float], pd.Series[bool]]:
    name = columns.of["value"]
    numbers = to_numbers(frame[name])
    _refuse_wrong(frame, numbers.wrong, "value", name)
    if numbers.european:
        said.append(f"{numbers.european} values with a decimal comma")
    return numbers.values, numbers.percents


def _constant(frame: pd.DataFrame, columns: Columns, name: str) -> pd.Series[float] | None:
    """Numbers of a column, filled up with what --set says; None where there is neither."""
    constant = columns.constants.get(name)
    if name not in columns.of and constant is None:
        return None
    found = pd.Series(float("nan"), index=frame.index)
    if name in columns.of:
        numbers = to_numbers(frame[columns.of[name]], sizes=name not in ("std", "stderr"))
        _refuse_wrong(frame, numbers.wrong, name, columns.of[name])
        found = numbers.values
        if name.endswith("_fraction"):
            found = found.where(~numbers.percents, found / 100.0)
    if constant is not None:
        given = to_numbers(pd.Series([constant]))
        if given.values.isna().any():
            raise UserError(f"--set {name}={constant}: no number")
        found = found.fillna(given.values.iloc[0])
    return found


def _refuse_wrong(frame: pd.DataFrame, wrong: pd.Series[bool], ours: str, theirs: str) -> None:
    if wrong.any():
        first = frame[wrong].iloc[0]
        name = first[COLUMN] or theirs  # of a wide table the user's own
        raise UserError(
            f"{where_of(first)}: {ours} {first[theirs]!r} in column {name!r} is no number ({int(wrong.sum())} such "
            f"rows); leave such rows out with --where '{name}!={first[theirs]}'"
        )


def _in_state(frame: pd.DataFrame, columns: Columns, states: Sequence[str]) -> pd.Series[bool]:
    if "status" not in columns.of:
        return pd.Series(False, index=frame.index)
    return _states(frame, columns).isin(states).fillna(False).astype(bool)


def _states(frame: pd.DataFrame, columns: Columns) -> pd.Series[str]:
    """In lower case, without the class that Optuna writes before it (`TrialState.PRUNED`)."""
    return frame[columns.of["status"]].astype("string").str.strip().str.lower().str.rpartition(".")[2]


def _hyperparameters(frame: pd.DataFrame, columns: Columns) -> pd.Series[str]:
    names = hyperparameter_columns(columns)
    constant = columns.constants.get("hyperparameters")
    if not names:
        return pd.Series(constant or "{}", index=frame.index)
    distinct = frame[names].astype("string").fillna("").drop_duplicates()
    texts = {
        row: json.dumps(dict(zip(names, row, strict=True)), sort_keys=True)
        for row in distinct.itertuples(index=False, name=None)
    }
    keys = pd.MultiIndex.from_frame(frame[names].astype("string").fillna(""))
    return pd.Series(keys.map(texts), index=frame.index, dtype="string")


def with_splits(rows: pd.DataFrame, has_column: bool, said: list[str]) -> pd.DataFrame:
    """Splits by our names; where there is no column of them, they may stand in the names of metrics."""
    if not has_column:
        found = {str(name): without_split(str(name)) for name in rows["metric"].unique()}
        if any(split for _, split in found.values()):
            splits = rows["metric"].map({name: split for name, (_, split) in found.items()}).astype("string")
            rows = rows.assign(
                split=splits.fillna(rows["split"]), metric=rows["metric"].map({n: m for n, (m, _) in found.items()})
            )
            shown = next(name for name, (_, split) in found.items() if split)
            said.append(f"splits read from the names of metrics, such as {shown}")
    names = {str(name): split_name(str(name)) for name in rows["split"].unique()}
    return rows.assign(split=rows["split"].map(names))


def with_seeds(rows: pd.DataFrame, repeats: Repeats, differ: list[str], said: list[str]) -> pd.DataFrame:
    """Whole numbers as seeds; names of seeds by the number in them, and repeats without a seed numbered.

    Args:
        repeats: What becomes of several values of a run; where they are not refused, none is a run of its own.
        differ: Columns nobody named, in which such rows may differ.
    """
    column = rows["seed_name"]
    lost = is_missing(column)
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    named = ~lost & (numbers.isna() | (numbers % 1 != 0))
    if named.any():
        names = [str(name) for name in column[named].unique()]
        found = {name: seed_of(name) for name in names}
        if None in found.values() or len(set(found.values())) < len(names):
            found = {name: zlib.crc32(name.encode()) % 1_000_000_000 for name in names}
        numbers = numbers.mask(named, column.astype("string").map(found).astype("float64"))
        shown = ", ".join(f"{name} is {number}" for name, number in list(found.items())[:3])
        said.append(f"seeds are no whole numbers: {shown}")
    if lost.any():
        repeat = _numbered(rows[lost]) if repeats == "refuse" else rows.loc[lost, "step"] * 0
        numbers = numbers.mask(lost, repeat.reindex(rows.index).astype("float64"))
        most = int(repeat.max()) + 1
        alone = "; without repeats nothing is known of chance, and there is no P(best)" if most == 1 else ""
        if most > 1 and differ:
            alone = f" (--column hyperparameters={differ[0]} or --repeats first|average if they are no repeats)"
        some = "no seeds" if lost.all() else f"no seeds in {int(lost.sum())} of {len(rows)} rows"
        alone = alone if lost.all() or most > 1 else ""
        said.append(f"{some}: up to {most} run(s) of a cell, numbered from 0{alone} (--set seed=N says otherwise)")
    return rows.assign(seed=numbers.astype("int64")).drop(columns="seed_name")


def _numbered(rows: pd.DataFrame) -> pd.Series[int]:
    """Repeats of each cell from 0. Rows that say the same are one, unless the cell has as many runs as others have."""
    key = [name for name in KEY if name != "seed"]
    groups = rows.groupby(key, dropna=False, sort=False)
    repeat = groups.cumcount()
    if not repeat.any():
        return repeat
    size, kinds = groups["value"].transform("size"), groups["value"].transform("nunique")
    usual = int(size[kinds > 1].max()) if (kinds > 1).any() else 1
    return repeat.where((kinds > 1) | (size <= usual), 0)


def without_duplicates(
    rows: pd.DataFrame, frame: pd.DataFrame, columns: Columns, repeats: Repeats, said: list[str]
) -> pd.DataFrame:
    """Drops rows that say the same; two values for one run and score are an error, unless `repeats` says otherwise."""
    key = list(KEY)
    kept = rows.drop_duplicates([*key, "value"])
    if len(kept) < len(rows):
        said.append(f"{len(rows) - len(kept)} duplicate rows left out")
    double = kept.duplicated(key, keep=False)
    if not double.any():
        return kept
    if repeats == "first":
        said.append(f"{int(kept.duplicated(key).sum())} rows left out: of several values of a run the first counts")
        return kept.drop_duplicates(key)
    if repeats == "average":
        means = kept.groupby(key, dropna=False, sort=False)["value"].transform("mean")
        said.append(f"{int(double.sum())} rows averaged: they give several values of a run")
        return kept.assign(value=means).drop_duplicates(key)
    raise UserError(_about_double(kept[double], frame, columns))


def _about_double(double: pd.DataFrame, frame: pd.DataFrame, columns: Columns) -> str:
    first = double[double.groupby(list(KEY), dropna=False, sort=False).ngroup() == 0]
    mine = frame.loc[first["origin"]]
    differ = [name for name in columns.unused if name in mine and mine[name].astype(str).nunique() > 1]
    hint = "say which column tells them apart (--column seed=NAME)"
    if differ:
        hint = (
            f"they differ in {', '.join(differ)}: --column hyperparameters={','.join(differ)} makes these arms of "
            f"their own, --column seed={differ[0]} runs, --where {differ[0]}={mine[differ[0]].iloc[0]} takes one"
        )
    places = " and ".join(where_of(row) for _, row in first.head(3).iterrows())
    run = f"{first['intermediate'].iloc[0]} -> {first['target'].iloc[0]}, seed {first['seed'].iloc[0]}"
    values = ", ".join(f"{value:g}" for value in first["value"].head(3))
    return (
        f"{places} give different values for the same run ({values}), {run}, {first['metric'].iloc[0]} ({len(double)} "
        f"such rows); {hint}; or take one value of them: --repeats first, or --repeats average"
    )
