"""Headers of several lines, and nested keys, as columns: which line names what."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.columns import find_columns
from raystilts.importing.kinds import is_summary, kind_of, stat_of
from raystilts.importing.names import BASELINES
from raystilts.importing.numbers import numeric_share
from raystilts.importing.reading import COLUMN, PLACES, Reading

#: Columns for kinds of names that are no column of ours by themselves.
KIND_COLUMN = {"stat": "\x00stat", "fraction": "intermediate_fraction"}
_NO_NAME = re.compile(r"(Unnamed: \d+(_level_\d+)?|level_\d+|index|)")
#: What a column beside those of scores may hold.
_LABELS = ("intermediate", "target", "seed", "language", "split", "step", "encoder")


def with_levels(reading: Reading, told: dict[str, str], constants: dict[str, str]) -> Reading:
    """Headers of several lines as columns."""
    frame = reading.frame
    nested = [f"level_{i}" for i in range(9) if f"level_{i}" in frame.columns]
    if isinstance(frame.columns, pd.MultiIndex):
        frame, found = _flattened(frame, told, constants)
        shape, said = f"{reading.shape}, several lines of header", [*reading.said, *found]
        return Reading(frame, shape, reading.files, said, {"value": "value"})
    if nested and "value" in frame.columns and len(nested) > 1:
        taken = [name for name in frame.columns if name not in nested]
        levels = [frame[name].astype(str).unique().tolist() for name in nested]
        names = _level_names(levels, told, constants, 0, taken)
        frame = frame.rename(columns=dict(zip(nested, names, strict=True)))
        said = [f"levels of keys taken for {', '.join(names)}"]
        return Reading(frame, f"{reading.shape}, nested", reading.files, [*reading.said, *said])
    return reading


def _flattened(frame: pd.DataFrame, told: dict[str, str], constants: dict[str, str]) -> tuple[pd.DataFrame, list[str]]:
    places = {name: frame[name].squeeze() for name in PLACES}
    body = frame.drop(columns=list(PLACES), level=0)
    tuples = _filled([tuple(str(part) for part in column) for column in body.columns])
    body.columns = pd.Index(range(len(tuples)))
    scored = [i for i in range(len(tuples)) if numeric_share(body[i]) >= 0.5 and not _is_label(tuples[i])]
    averages = [i for i in scored if _is_average_of_others(tuples[i])]
    scored = [i for i in scored if i not in averages]
    held = [i for i in range(len(tuples)) if i not in (*scored, *averages)]
    label_names = {i: next((part for part in reversed(tuples[i]) if not _NO_NAME.fullmatch(part)), f"level_{i}")
                   for i in held}  # fmt: skip
    base = body[held].rename(columns=label_names).assign(**places)
    levels = [
        [part for part in dict.fromkeys(tuples[i][depth] for i in scored) if not _NO_NAME.fullmatch(part)]
        for depth in range(len(tuples[0]))
    ]
    there = find_columns(list(label_names.values()), {k: v for k, v in told.items() if v in label_names.values()}, {})
    missing = [name for name in ("intermediate", "target") if name not in there.of and name not in constants]
    free = [name for name in label_names.values() if name not in there.of.values()]
    level_kinds = [kind_of(values) for values in levels]
    row_side = missing[0] if free and len(missing) > level_kinds.count(None) else None
    names = _level_names(levels, told, constants, 0, taken=[*there.of, *([row_side] if row_side else [])])
    parts = []
    for i in scored:
        part = base.copy(deep=False)
        for name, text in zip(names, tuples[i], strict=True):
            part[name] = None if _NO_NAME.fullmatch(text) else text
        part["value"] = body[i]
        part[COLUMN] = " ".join(tuples[i])
        parts.append(part)
    long = pd.concat(parts, ignore_index=True) if parts else base
    said = [f"lines of header taken for {', '.join(name.replace(chr(0), '') for name in names)}"]
    if averages:
        left = ", ".join(" ".join(part for part in tuples[i] if not _NO_NAME.fullmatch(part)) for i in averages)
        said.append(f"averages left out: {left}")
    if row_side:
        long = long.rename(columns={free[0]: row_side})
        said.append(f"column {free[0]!r} taken for {row_side}")
    if KIND_COLUMN["stat"] in names:
        long[KIND_COLUMN["stat"]] = long[KIND_COLUMN["stat"]].map(stat_of)
        long = spread_out(long)
    return long, said


def _filled(tuples: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Names of groups stand over their first column only: those without one belong to the group before."""
    rows = [list(one) for one in tuples]
    for depth in range(len(rows[0]) - 1):
        last = ""
        for row in rows:
            if not _NO_NAME.fullmatch(row[depth]):
                last = row[depth]
            elif last:
                row[depth] = last
    return [tuple(row) for row in rows]


def _is_label(column: tuple[str, ...]) -> bool:
    above = bool(_NO_NAME.fullmatch(column[0])) or bool(find_columns([column[0]], {}, {}).of)
    named = any(one in _LABELS for one in find_columns([column[-1]], {}, {}).of)
    return above and (named or all(_NO_NAME.fullmatch(part) for part in column[1:]))


def _is_average_of_others(column: tuple[str, ...]) -> bool:
    """Whether a column is the mean over others: it says so in one line of header, and nothing in another."""
    return any(map(is_summary, column)) and any(_NO_NAME.fullmatch(part) for part in column)


def _level_names(
    levels: list[list[str]], told: dict[str, str], constants: dict[str, str], start: int, taken: Sequence[str] = ()
) -> list[str]:
    """Our name for each level, by what its values are; tasks: intermediate, then target, or as the baseline tells."""
    with_baseline = [bool({value.strip().lower() for value in values} & BASELINES) for values in levels]
    free = [name for name in ("intermediate", "target") if name not in constants and name not in taken]
    names: list[str] = []
    for depth, values in enumerate(levels):
        kind = kind_of(values)
        if kind is None:
            name = free[0] if free else "hyperparameters"
            if len(free) > 1:
                name = "target" if any(with_baseline[depth + 1 :]) and not with_baseline[depth] else "intermediate"
        else:
            name = KIND_COLUMN.get(kind, kind)
        names.append(name if name not in (*names, *taken) else f"{name}_{len(names)}")
        free = [one for one in free if one not in names]
    return names


def spread_out(long: pd.DataFrame) -> pd.DataFrame:
    """Rows of mean, std and n, by our names of columns, as columns."""
    stat = KIND_COLUMN["stat"]
    keys = [name for name in long.columns if name not in (stat, "value", COLUMN)]
    if long.duplicated([*keys, stat]).any():
        raise UserError("several rows give the same statistic of the same runs; leave some out with --where")
    wide = long.drop(columns=COLUMN).set_index([*keys, stat])["value"].unstack(stat)
    return wide.reset_index().assign(**{COLUMN: ""})
