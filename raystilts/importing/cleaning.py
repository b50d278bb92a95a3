"""The rows of a table with our names, in our units, each run and score once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.columns import Columns, hyperparameter_columns
from raystilts.importing.rows import CELL
from raystilts.importing.values import to_shares

#: Names under which tables list runs without an intermediate task.
_BASELINES = ("none", "(none)", "no intermediate", "no_intermediate", "baseline")
_KEY = [*CELL, "split", "language", "metric", "step"]
_DEFAULTS = {"language": "en", "split": "test", "metric": "score", "encoder": "unknown"}
_SPLITS = {"validation": "dev", "valid": "dev", "val": "dev", "development": "dev", "eval": "dev"}


def arranged(frame: pd.DataFrame, columns: Columns, constants: Mapping[str, str], said: list[str]) -> pd.DataFrame:
    """The columns of `CELL` and of scores, values as they stand in the table; adds to `said` what was concluded.

    Raises:
        UserError: Something is missing, or no number where one belongs.
    """
    of = columns.of
    rows = pd.DataFrame(index=frame.index)
    for name in ("intermediate", "target", "language", "split", "metric", "encoder"):
        constant = constants.get(name, _DEFAULTS.get(name))
        rows[name] = frame[of[name]].astype("string") if name in of else pd.Series(constant, frame.index, "string")
        if name not in of and name not in constants:
            said.append(f"no column for {name}: {constant} (--set {name}=... says otherwise)")
        if name != "intermediate" and rows[name].isna().any():
            row = int(rows.index[rows[name].isna()][0]) + 1
            raise UserError(f"row {row}: no {name} in column {of[name]!r}; fill it in, or leave the row out (--where)")
    rows["split"] = _splits(rows["split"], said)
    for name in ("step", "examples"):
        rows[name] = _numbers(frame, of, name).fillna(0).astype(int) if name in of else 0
    rows["value"] = _numbers(frame, of, "value")
    for name, group in (("intermediate_fraction", "intermediate"), ("target_fraction", "target")):
        sizes = _numbers(frame, of, name) if name in of else pd.Series(float("nan"), index=frame.index)
        rows[name], about = to_shares(sizes, rows[group], name)
        said += about
    rows["hyperparameters"] = _hyperparameters(frame, columns)
    rows["seed"] = _seeds(frame, rows, of, said)
    return rows


def _splits(given: pd.Series[str], said: list[str]) -> pd.Series[str]:
    """Splits by our names; dev stands in for a test split that is not there."""
    splits = given.str.lower().replace(_SPLITS)
    found = set(splits)
    if "test" not in found:
        if "dev" not in found:
            raise UserError(f"no row is of split test or dev, but of {', '.join(sorted(found))}; give --set split=test")
        said.append("no test scores: those on dev stand in for them, and choose as well as judge")
        return splits.replace({"dev": "test"})
    if found - {"dev", "test"}:
        said.append(f"kept, but not ranked by: split {', '.join(sorted(found - {'dev', 'test'}))}")
    return splits


def _numbers(frame: pd.DataFrame, of: Mapping[str, str], name: str) -> pd.Series[float]:
    column = frame[of[name]]
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & column.notna()]
    wrong = wrong[~wrong.astype(str).str.lower().isin(["nan", "na", "n/a", "none", "-", ""])]
    if len(wrong):
        raise UserError(
            f"row {int(wrong.index[0]) + 1}: {name} {wrong.iloc[0]!r} in column {of[name]!r} is no number; leave such "
            f"rows out with --where '{of[name]}!={wrong.iloc[0]}'"
        )
    return numbers.astype(float)


def _hyperparameters(frame: pd.DataFrame, columns: Columns) -> pd.Series[str]:
    names = hyperparameter_columns(columns)
    texts = [json.dumps(dict(zip(names, row, strict=True)), sort_keys=True, default=str)
             for row in frame[names].astype(str).itertuples(index=False)]  # fmt: skip
    return pd.Series(texts if names else "{}", index=frame.index)


def _seeds(frame: pd.DataFrame, rows: pd.DataFrame, of: Mapping[str, str], said: list[str]) -> pd.Series[int]:
    """Seeds; names of seeds, and repeats without one, are numbered."""
    column = frame[of["seed"]] if "seed" in of else pd.Series(float("nan"), index=frame.index)
    numbers = pd.to_numeric(column, errors="coerce")
    if column.isna().any():
        key = [name for name in _KEY if name != "seed"]
        repeat = rows.drop_duplicates([*key, "value"]).groupby(key, dropna=False).cumcount()
        numbers = repeat.reindex(rows.index).fillna(0).where(column.isna(), numbers)
        most = int(repeat.max()) + 1
        alone = "; without repeats nothing is known of chance, and there is no P(best)" if most == 1 else ""
        said.append(f"no seeds: up to {most} run(s) of a cell, numbered from 0{alone}")
    elif numbers.isna().any() or (numbers % 1 != 0).any():
        names = sorted(set(column.astype(str)))
        numbers = column.astype(str).map(names.index)
        said.append(f"seeds are no whole numbers: numbered from 0 in the order of {', '.join(names[:5])}")
    return numbers.astype(int)


def with_baseline(rows: pd.DataFrame, given: str | None, said: list[str]) -> pd.DataFrame:
    """Calls the baseline `none`, with neither size nor fraction."""
    names = sorted(set(rows["intermediate"].dropna()))
    if given is not None and given not in names:
        raise UserError(f"--baseline {given}: no row has that intermediate; {did_you_mean(given, names)}")
    found = given or next((name for name in names if name.lower() in _BASELINES), None)
    empty = rows["intermediate"].isna()
    if found is None and not empty.any():
        said.append("no runs without an intermediate task: no gains (--baseline NAME says which intermediate is none)")
        return rows
    if found != "none":
        said.append(
            f"intermediate {found!r} taken for none" if found else "rows without an intermediate taken for none"
        )
    of_none = empty if found is None else empty | (rows["intermediate"] == found)
    return rows.assign(
        intermediate=rows["intermediate"].mask(of_none, "none"),
        intermediate_fraction=rows["intermediate_fraction"].mask(of_none),
    )


def without_duplicates(rows: pd.DataFrame, frame: pd.DataFrame, columns: Columns, said: list[str]) -> pd.DataFrame:
    """Drops rows that say the same; two values for one run and score are an error."""
    kept = rows.drop_duplicates([*_KEY, "value"])
    if len(kept) < len(rows):
        said.append(f"{len(rows) - len(kept)} duplicate rows left out")
    double = kept[kept.duplicated(_KEY, keep=False)]
    if not len(double):
        return kept
    first = double[double.groupby(_KEY, dropna=False, sort=False).ngroup() == 0]
    mine = frame.loc[first.index]
    differ = [name for name in columns.unused if mine[name].astype(str).nunique() > 1]
    hint = "say which column tells them apart: --column seed=NAME"
    if differ:
        hint = (
            f"they differ in {', '.join(differ)}: --column hyperparameters={','.join(differ)} makes these arms of "
            f"their own, --where {differ[0]}={mine[differ[0]].iloc[0]} takes one of them"
        )
    where = " and ".join(str(int(i) + 1) for i in first.index[:3])
    run = f"{first['intermediate'].iloc[0]} -> {first['target'].iloc[0]}, seed {first['seed'].iloc[0]}"
    raise UserError(
        f"rows {where} give different values for the same run, {run}, {first['metric'].iloc[0]} "
        f"({len(double)} such rows); {hint}"
    )


def main_metrics(rows: pd.DataFrame, wanted: Sequence[str], said: list[str]) -> dict[str, str]:
    """The metric by which each target is judged."""
    known = sorted(set(rows["metric"]))
    for name in wanted:
        if name not in known:
            raise UserError(f"--metric {name}: not in the table; {did_you_mean(name, known)}")
    main: dict[str, str] = {}
    for target, metrics in rows.groupby("target", sort=False)["metric"].unique().items():
        main[str(target)] = next((name for name in wanted if name in metrics), str(metrics[0]))
        if len(metrics) > 1:
            said.append(
                f"{target}: judged by {main[str(target)]}, of {', '.join(metrics)} (--metric NAME says otherwise)"
            )
    return main
