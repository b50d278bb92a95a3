"""Names of arms and targets: averages among them, the baseline, and spellings of one name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.kinds import direction, is_average, is_rate, is_summary
from raystilts.importing.scales import where_of
from raystilts.tasks.languages import english_names

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


def with_english(rows: pd.DataFrame, said: list[str]) -> pd.DataFrame:
    """Calls English `en`, whatever it is called: runs are chosen by dev data of that name.

    Other languages keep their names: published matrices name arms by the same codes (`amh` trained, `amh` tested).
    """
    names = english_names(str(name) for name in rows["language"].unique())
    if not names:
        return rows
    said.append(f"language {', '.join(map(repr, names))} taken for 'en'")
    return rows.assign(language=rows["language"].mask(rows["language"].isin(names), "en"))


def in_one_spelling(rows: pd.DataFrame, names: Mapping[str, Mapping[str, str]], said: list[str]) -> pd.DataFrame:
    """With each name in one spelling; `names` is as `same_names` gives it."""
    for column, changes in names.items():
        if changes:
            rows = rows.assign(**{column: rows[column].replace(dict(changes))})
            said += taken_for(column, changes)
    return rows


def taken_for(column: str, changes: Mapping[str, str]) -> list[str]:
    """Says which spellings became another."""
    return [f"{column} {old!r} taken for {new!r}" for old, new in changes.items()]


def with_baseline(rows: pd.DataFrame, given: str | None, known: Collection[str], said: list[str]) -> pd.DataFrame:
    """Calls the baseline `none`, with neither size nor fraction; `baseline` and `baseline_fraction` keep what it had.

    They are missing for all other rows, and for a baseline without a name of its own.

    Args:
        given: The intermediate that the user named.
        known: Intermediates that stand for none in other tables of the folder; a table with a baseline of its own has
            them as arms.

    Raises:
        UserError: There is no such intermediate, or one target has two baselines.
    """
    arms, fractions = rows["intermediate"], rows["intermediate_fraction"]
    names = sorted(set(arms.dropna()))
    if given is not None and given not in names:
        raise UserError(f"--baseline {given}: no row has that intermediate; {did_you_mean(given, names)}")
    empty = (arms.isna() | (arms == "")).astype(bool)
    untrained = (fractions == 0).fillna(False).astype(bool)
    sure = [name for name in names if name.strip().lower() in _SURE] if given is None else [given]
    told = [] if given in (None, "none") else [given]
    if told:
        _refuse_two(rows, _is(arms, told), empty | _is(arms, ["none"]), str(given))
    if given is None and not sure and not empty.any() and not untrained.any():
        sure = told = [name for name in names if name in known]
        _refuse_several(rows[_is(arms, told)])
    of_none = empty | untrained | _is(arms, sure)
    if any(name != "none" for name in sure):
        said.append(f"intermediate {', '.join(map(repr, sure))} taken for none")
    if untrained.any():
        said.append(f"{int(untrained.sum())} rows with fraction 0 of the intermediate taken for none")
    if empty.any():
        said.append("rows without an intermediate taken for none")
    # Usual names are the baseline in every table: only one that was told, here or before, may become an arm again.
    kept = _is(arms, told) & ~untrained
    return rows.assign(
        intermediate=arms.mask(of_none, "none"),
        intermediate_fraction=fractions.mask(of_none),
        baseline=arms.where(kept),
        baseline_fraction=fractions.where(kept),
    )


def _is(column: pd.Series[str], names: Collection[str | None]) -> pd.Series[bool]:
    return column.isin(names).fillna(False).astype(bool)


def _refuse_two(rows: pd.DataFrame, named: pd.Series[bool], unnamed: pd.Series[bool], given: str) -> None:
    """Runs of `none` beside those of the baseline that was told: as one arm they would be a mean of two."""
    place = ["encoder", "target"]
    both = rows[unnamed].merge(rows.loc[named, place].drop_duplicates(), on=place)
    if len(both):
        mine = rows[named & (rows["target"] == both["target"].iloc[0])]
        raise UserError(
            f"--baseline {given}: target {both['target'].iloc[0]} has runs of none ({where_of(both.iloc[0])}) beside "
            f"those of {given} ({where_of(mine.iloc[0])}); leave out --baseline, or one of the two with --where "
            f"'COLUMN!=VALUE'"
        )


def _refuse_several(rows: pd.DataFrame) -> None:
    """Arms of one target that are the baselines of two other tables."""
    firsts = rows.drop_duplicates(["encoder", "target", "intermediate"])
    double = firsts[firsts.duplicated(["encoder", "target"], keep=False)]
    if len(double):
        target = double["target"].iloc[0]
        arms = " and ".join(f"{row['intermediate']} ({where_of(row)})" for _, row in double.iterrows()
                            if row["target"] == target)  # fmt: skip
        raise UserError(
            f"target {target}: {arms} are baselines of other tables of this folder, and cannot both be none here; "
            f"say which one is: --baseline {double['intermediate'].iloc[0]}"
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
