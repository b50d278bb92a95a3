"""Tables with several scores a row, as a row a score: arms by targets, targets by arms, a column a language..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.columns import Columns, find_columns
from raystilts.importing.header_levels import KIND_COLUMN, spread_out, with_levels
from raystilts.importing.kinds import (
    SHEET,
    direction,
    is_hyperparameter,
    is_setting,
    is_summary,
    kind_of,
    seed_of,
    stat_of,
)
from raystilts.importing.names import BASELINES
from raystilts.importing.numbers import numeric_share
from raystilts.importing.reading import COLUMN, PLACES, ROW, Reading
from raystilts.importing.score_names import Parts, parts_of

ACROSS = ("target", "intermediate", "language", "metric", "seed", "split")
_CORNER = re.compile(r"(.+?)\s*(?:\\|/|↓|→|->|\|)\s*(.+)")
#: Names of columns of values that may also be the mean over the columns beside them.
_MEANS = ("mean", "mean_score", "avg_score")


@dataclass(frozen=True, slots=True)
class Melted:
    """A table with a row a score.

    Attributes:
        reading: Its rows.
        columns: What its columns hold.
    """

    reading: Reading
    columns: Columns


def as_long(reading: Reading, told: dict[str, str], constants: dict[str, str], across: str | None) -> Melted:
    """The reading with one score a row, and its columns as far as they can be told.

    Args:
        told: What the user said of columns, our name to theirs.
        constants: What the user said of all rows.
        across: What the columns of a wide table are, one of `ACROSS`; None to guess.

    Raises:
        UserError: `across` is none of these, or a name is unknown.
    """
    if across is not None and across not in ACROSS:
        raise UserError(f"--across {across}: no such thing; {did_you_mean(across, ACROSS)}")
    reading = with_levels(reading, told, constants)
    reading = _with_sheets(reading)
    told = {**reading.told, **told}
    reading = _with_stat_rows(reading, told, constants)
    columns = find_columns(reading.columns, told, constants, _prose(reading))
    if _is_mean_of_others(reading, columns):
        told = {"value": "", **told}
        columns = find_columns(reading.columns, told, constants, _prose(reading))
    if across is None and ("value" in columns.of):
        return Melted(reading, columns)
    candidates = _scores(reading, columns)
    if not candidates:
        return Melted(reading, columns)
    return _melt(reading, columns, candidates, told, constants, across)


def _prose(reading: Reading) -> set[str]:
    """Columns of sentences and addresses, such as the source of a number."""
    found = set()
    for name in reading.columns:
        texts = reading.frame[name].dropna().head(200).astype(str)
        if len(texts) and (texts.str.len().median() > 60 or texts.str.contains("://").any()):
            found.add(name)
    return found


def _is_mean_of_others(reading: Reading, columns: Columns) -> bool:
    """Whether the column that was taken for the value is the mean over columns of scores beside it."""
    if "_".join(columns.guessed.get("value", "").lower().split()) not in _MEANS:
        return False
    names = [name for name in columns.unused if numeric_share(reading.frame[name]) >= 0.5 and not is_setting(name)]
    return bool(names) and (bool(columns.missing) or kind_of(names) in ("language", "metric", "seed", "split"))


def _scores(reading: Reading, columns: Columns) -> list[str]:
    """Columns of numbers that hold nothing else; only those of metrics where each row is one run already."""
    found = [name for name in columns.unused if numeric_share(reading.frame[name]) >= 0.5]
    if [name for name in columns.missing if name != "value"] or kind_of(found) not in (None, "metric"):
        # Beside targets, settings are no targets; beside metrics, what a run took is left out as no score.
        other = is_hyperparameter if kind_of(found) == "metric" else is_setting
        return [name for name in found if not other(name)] or found
    return [name for name in found if direction(name) and not is_hyperparameter(name)]


def _melt(
    reading: Reading,
    columns: Columns,
    candidates: list[str],
    told: dict[str, str],
    constants: dict[str, str],
    across: str | None,
) -> Melted:
    frame, said = reading.frame, list(reading.said)
    missing = [name for name in columns.missing if name != "value"]
    tasks = parts_of(candidates, "target" in missing) if across in (None, "metric") else {}
    stats = {} if tasks else _stat_columns(candidates)
    names = list(stats or candidates)
    spreads: list[str] = []
    if (across or kind_of(names)) == "seed":  # of the runs, which are there themselves
        averages = [name for name in names if is_summary(name)]
        spreads = [columns.of[one] for one in ("std", "stderr") if one in columns.of]
        candidates = [name for name in candidates if name not in averages]
        names = [name for name in names if name not in averages]
        if left := [*averages, *spreads]:
            said.append(f"of the runs beside them, and left out: {', '.join(left)}")
    labels = [name for name in columns.unused if name not in candidates]
    kind, rows = _sides(frame, missing, labels, names, across or ("metric" if tasks else kind_of(names)))
    said_of = _said_of(tasks)
    for name in said_of:
        rows.pop(name, None)
    held = [name for name in reading.columns if name not in (*candidates, *spreads)]
    if kind in columns.of and kind != "metric":
        held = [name for name in held if name != columns.of[kind]]
    long = _stacked(frame, held, candidates, kind, stats)
    if tasks:
        long = long[long[kind].isin(list(tasks))]
        names_of = long[kind]
        for name in said_of:
            long[name] = names_of.map({column: getattr(parts, name) for column, parts in tasks.items()})
    said += [f"column {theirs!r} taken for {ours} (--column says otherwise)" for ours, theirs in rows.items()]
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    what = " and ".join(said_of) if tasks else kind
    said.append(f"a wide table: columns {shown} taken for {what} (--across {'|'.join(ACROSS[:5])})")
    melted = Reading(long, f"{reading.shape}, wide", reading.files, said, reading.told, reading.items)
    ours = (kind, "target", "language", "metric", "value", "std", "stderr", "runs")
    made = [name for name in ours if name in long.columns]
    told = (
        {ours: theirs for ours, theirs in columns.of.items() if theirs in held}
        | rows
        | {name: name for name in made if name not in held or name == kind}
        | {ours: theirs for ours, theirs in told.items() if theirs in long.columns or not (theirs or ours in made)}
    )
    found = find_columns(melted.columns, told, constants, _prose(reading))
    guessed = {ours: theirs for ours, theirs in columns.guessed.items() if found.of.get(ours) == theirs}
    return Melted(melted, Columns(found.of, guessed, found.unused, found.constants))


def _sides(
    frame: pd.DataFrame, missing: list[str], labels: Sequence[str], names: Sequence[str], kind: str | None
) -> tuple[str, dict[str, str]]:
    """What the columns are, and what columns of labels are, as far as they must be guessed."""
    if kind is not None:
        open_ = [name for name in missing if name != kind]
        return kind, dict(zip(open_, labels, strict=False))
    if len(missing) == 2 and labels:
        corner = _CORNER.fullmatch(str(labels[0]))
        sides = _corner_sides(corner.group(1), corner.group(2)) if corner else None
        row, column = sides or _guess_sides(frame[labels[0]], names)
        return column, {row: labels[0]}
    return (missing[-1] if missing else "metric"), {}


def _corner_sides(first: str, second: str) -> tuple[str, str] | None:
    """Rows and columns by a corner such as `source \\ target`."""
    sides = [find_columns([name], {}, {}).of for name in (first.strip(), second.strip())]
    known = [next((ours for ours in side if ours in ("intermediate", "target")), None) for side in sides]
    if known[0] and known[1] and known[0] != known[1]:
        return known[0], known[1]
    return None


def _guess_sides(labels: pd.Series, names: Sequence[str]) -> tuple[str, str]:
    """Rows and columns of a bare matrix: the side that has the baseline is the intermediates'."""
    rows = {str(label).strip().lower() for label in labels.dropna()}
    if any(name.strip().lower() in BASELINES for name in names) and not rows & BASELINES:
        return "target", "intermediate"
    return "intermediate", "target"


def _stacked(
    frame: pd.DataFrame, held: list[str], candidates: list[str], kind: str, stats: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """A row a score, in the order of the rows and then of the columns."""
    if not stats:
        stats = {name: {"value": name} for name in candidates}
    parts = []
    keep = [*held, *PLACES]
    column = KIND_COLUMN.get(kind, kind)
    for name, own in stats.items():
        part = frame[keep].copy(deep=False)
        part[column] = name
        part[COLUMN] = own["value"]
        for ours in ("value", "std", "stderr", "runs"):
            if ours in own:
                part[ours] = frame[own[ours]]
        parts.append(part)
    long = pd.concat(parts)
    long = long.sort_values(ROW, kind="stable") if len(long) < 200_000 else long
    return long.reset_index(drop=True)


def _stat_columns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns such as `rte_mean`, `rte_std`, `rte_n` by what they are of; {} where there are none with a spread."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        match = re.fullmatch(
            r"(.+?)[ _/.:-]*[(\[]?(mean|avg|average|std|stdev|sd|stderr|se|sem|n|runs)[)\]]?", name, re.I
        )
        stat = stat_of(match[2]) if match and re.search(r"[ _/.:(\[-]", name) else None
        if match and stat:
            found.setdefault(match[1].rstrip(" _/.:-(["), {})[stat] = name
        else:
            found.setdefault(name, {})["value"] = name
    complete = all("value" in own for own in found.values())
    return found if complete and any(len(own) > 1 for own in found.values()) else {}


def _said_of(tasks: dict[str, Parts]) -> list[str]:
    """What the names of columns tell: of target, language and metric those that they all have."""
    return [
        name
        for name in ("target", "language", "metric")
        if tasks and all(getattr(parts, name) for parts in tasks.values())
    ]


def _with_stat_rows(reading: Reading, told: dict[str, str], constants: dict[str, str]) -> Reading:
    """Rows that hold means and rows that hold spreads, told apart by a column of their own or by the metric's name."""
    of = find_columns(reading.columns, told, constants, _prose(reading)).of
    if "value" not in of or "std" in of or "std" in told:
        return reading
    frame = reading.frame
    for name in [name for name in reading.columns if name not in of.values() or name == of.get("metric")]:
        values = frame[name].dropna().astype(str)
        split = {value: _stat_of_metric(value) for value in values.unique()} if len(values) == len(frame) else {}
        stats = {stat for _, stat in split.values()}
        if not {"value"} < stats or not stats & {"std", "stderr"} or len(split) > 1000:
            continue
        if not _are_stats(frame, name, of, split):
            continue
        stat = KIND_COLUMN["stat"]
        long = frame.drop(columns=ROW).rename(columns={of["value"]: "value"})
        long[stat] = frame[name].map({value: found for value, (_, found) in split.items()})
        metric = frame[name].astype(str).map({value: found for value, (found, _) in split.items()})
        long = long.drop(columns=name) if set(metric) == {""} else long.assign(**{name: metric})
        long = spread_out(long)
        long[ROW] = range(1, len(long) + 1)
        said = [*reading.said, f"rows of means and of their spreads put together, by column {name!r}"]
        return Reading(long, reading.shape, reading.files, said, {**reading.told, "value": "value"}, reading.items)
    return reading


def _are_stats(frame: pd.DataFrame, name: str, of: dict[str, str], split: dict[str, tuple[str, str]]) -> bool:
    """Whether a column's names end in statistics, not in codes of languages (`acc_sd`) or of arms (`model se`).

    Args:
        split: Each of its names as `_stat_of_metric` cuts it.
    """
    bases = {base for base, _ in split.values()}
    if bases == {""}:
        return True
    if name != of.get("metric") and not all(direction(base) for base in bases):
        return False
    # A spread is one of something: its metric has a value in the same cell.
    cell = [one for one in frame.columns if one not in (name, of["value"], ROW, COLUMN)]
    base = frame[name].astype(str).map({value: base for value, (base, _) in split.items()})
    stat = frame[name].astype(str).map({value: found for value, (_, found) in split.items()})
    found = stat.groupby([base, *(frame[one] for one in cell)], dropna=False).agg(set)
    return all("value" in stats for stats in found if stats & {"std", "stderr"})


def _stat_of_metric(name: str) -> tuple[str, str]:
    """A metric without the statistic at its end, and that as our column: `f1_std` is f1 and std, `f1` a value."""
    if (alone := stat_of(name)) is not None:
        return "", alone
    match = re.fullmatch(r"(.+?)[ _/.-]+(mean|avg|std|stdev|sd|stderr|se|sem|count|n|runs)", name, re.I)
    return (match[1], stat_of(match[2]) or "value") if match else (name, "value")


def _with_sheets(reading: Reading) -> Reading:
    """What the names of sheets stand for."""
    if SHEET not in reading.frame.columns:
        return reading
    values = [str(value) for value in reading.frame[SHEET].unique()]
    kind = kind_of(values)
    if kind in ("metric", "seed", "language", "split") and kind not in reading.frame.columns:
        frame = reading.frame.rename(columns={SHEET: kind})
        said = [*reading.said, f"sheets {', '.join(values[:4])} taken for {kind}"]
        if kind == "seed":
            frame[kind] = frame[kind].map(lambda name: seed_of(str(name)))
        return Reading(frame, reading.shape, reading.files, said, reading.told)
    return reading
