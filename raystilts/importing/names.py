"""Names of arms and targets: averages among them, the baseline, and spellings of one name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.kinds import direction, is_average, is_rate, is_summary

#: Names under which tables list runs without an intermediate task.
BASELINES = frozenset((
    "none", "(none)", "[none]", "no intermediate", "no_intermediate", "no-intermediate", "baseline", "base", "-",
    "no transfer", "no_transfer", "without", "w/o", "scratch", "direct", "direct finetuning", "vanilla", "null",
))  # fmt: skip
#: Guessed only where it leaves no doubt; others are named for --baseline.
_SURE = ("none", "(none)", "[none]", "no intermediate", "no_intermediate", "no-intermediate", "baseline", "no transfer",
         "no_transfer")  # fmt: skip
_NAMED = ("intermediate", "target", "language")


def without_summaries(rows: pd.DataFrame, wanted: Collection[str], said: list[str]) -> pd.DataFrame:
    """Leaves out rows and columns of averages, which stand beside what they are averages of.

    Args:
        wanted: Metrics that the user asks for; where one is there, a metric such as `mean` stays.
    """
    for name in (*_NAMED, "seed_name"):
        if name not in rows.columns:
            continue
        is_left_out = is_average if name == "intermediate" else is_summary
        found = [value for value in rows[name].dropna().unique() if is_left_out(str(value))]
        others = rows[name].nunique() - len(found)
        if found and others:
            mine = rows[name].isin(found)
            said.append(f"{int(mine.sum())} averages left out: {name.removesuffix('_name')} {', '.join(found)}")
            rows = rows[~mine]
    return rows if set(wanted) & set(rows["metric"]) else _without_summary_metrics(rows, said)


def _without_summary_metrics(rows: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Leaves metrics such as `mean` out of targets that have another; a target with no other would be lost."""
    found = [value for value in rows["metric"].dropna().unique() if is_summary(str(value))]
    summary = rows["metric"].isin(found)
    if not found or summary.all():
        return rows
    scores = [value for value in rows["metric"].unique() if direction(str(value)) in (None, "higher") or is_rate(value)]
    others = set(rows.loc[~summary & rows["metric"].isin(scores), "target"].dropna())
    mine = summary & rows["target"].isin(others)
    if mine.any():
        left = ", ".join(rows.loc[mine, "metric"].unique())
        said.append(f"{int(mine.sum())} averages left out: metric {left} (--metric {left.split(', ')[0]} keeps them)")
    if kept := sorted(set(rows.loc[summary & ~mine, "target"].dropna())):
        shown = ", ".join(kept[:4]) + (", ..." if len(kept) > 4 else "")
        said.append(f"no metric but {', '.join(found)} for target {shown}: kept (--where leaves rows out)")
    return rows[~mine]


def with_baseline(rows: pd.DataFrame, given: str | None, known: Iterable[str], said: list[str]) -> pd.DataFrame:
    """Calls the baseline `none`, with neither size nor fraction.

    Args:
        given: The intermediate that the user named.
        known: Intermediates that stand for none in what was imported before.
    """
    names = sorted(set(rows["intermediate"].dropna()))
    empty = rows["intermediate"].isna() | (rows["intermediate"] == "")
    untrained = (rows["intermediate_fraction"] == 0).fillna(False)
    if given is not None and given not in names:
        raise UserError(f"--baseline {given}: no row has that intermediate; {did_you_mean(given, names)}")
    of_none = empty | untrained
    if given is not None:
        of_none |= rows["intermediate"] == given
    else:
        sure = [name for name in names if name.strip().lower() in _SURE or name in set(known)]
        of_none |= rows["intermediate"].isin(sure)
        if any(name != "none" for name in sure):
            said.append(f"intermediate {', '.join(map(repr, sure))} taken for none")
    if given is not None and given != "none":
        said.append(f"intermediate {given!r} taken for none")
    if untrained.any():
        said.append(f"{int(untrained.sum())} rows with fraction 0 of the intermediate taken for none")
    if empty.any():
        said.append("rows without an intermediate taken for none")
    return rows.assign(
        intermediate=rows["intermediate"].mask(of_none, "none"),
        intermediate_fraction=rows["intermediate_fraction"].mask(of_none),
    )


def spellings(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in case and white space; the last of each is the one that is kept."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups["".join(name.split()).casefold()].add(name)
    return [_ordered(group) for group in groups.values() if len(group) > 1]


def _ordered(group: set[str]) -> list[str]:
    """Ends with a name without superfluous white space, in lower case where there is one: whatever came first."""
    return sorted(group, key=lambda name: (name == " ".join(name.split()), name))


def same_names(values: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """For each column, names to be replaced by another spelling.

    Args:
        values: Column to the names in it.
    """
    return {
        column: {name: group[-1] for group in spellings(names) for name in group[:-1]}
        for column, names in values.items()
    }
