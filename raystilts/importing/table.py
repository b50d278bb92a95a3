"""Importing anyone's results: read, put in order, say what was concluded, merge, write."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from raystilts.errors import UserError, did_you_mean
from raystilts.filesystem import open_folder
from raystilts.importing.cleaning import Repeats, arranged, sure_sizes, with_seeds, with_splits, without_duplicates
from raystilts.importing.columns import Columns, need
from raystilts.importing.deriving import derive
from raystilts.importing.files import read_file
from raystilts.importing.items import write_items
from raystilts.importing.kinds import without_split
from raystilts.importing.merging import Merged, merge, refuse_two_values, with_one_baseline
from raystilts.importing.names import (
    in_one_spelling,
    same_names,
    taken_for,
    with_baseline,
    with_english,
    without_summaries,
)
from raystilts.importing.numbers import is_missing
from raystilts.importing.reading import Reading
from raystilts.importing.scales import Scale, absolute, by_direction, marked_gains, to_fractions
from raystilts.importing.state import SCHEMA, Settings, Source, State, renamed, to_rows
from raystilts.importing.summaries import as_runs
from raystilts.importing.trees import read_tree
from raystilts.importing.wide import as_long
from raystilts.importing.writing import update
from raystilts.results.baseline import NONE, write_baseline
from raystilts.results.stand_ins import write_stand_ins
from raystilts.tasks.languages import english_names

_NAMED = ("intermediate", "target", "language", "metric")


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a table.

    Attributes:
        columns: Our names to the table's columns; an empty one: there is no such column.
        constants: Our names to what holds for every row, or fills its empty cells.
        where: Columns and values: only these rows; a column with "!" at its end: all but these.
        differences: Column to value: these rows hold the difference from the baseline on the same target.
        baseline: The intermediate that stands for no intermediate task.
        metrics: Main metrics; of a target that has several of its own, the first of these.
        lower: Metrics that are better when lower; likewise `higher`, and those that may be negative in `signed`.
        across: What the columns of a wide table are, see `wide.ACROSS`.
        path: Pattern of the folders of a tree, such as ``{intermediate}/{target}/seed{seed}``.
        repeats: What becomes of rows that give several values for one run.
        same_name: Whether names that differ only in case or white space are one.
        replace: Whether values that differ from those that are there replace them.
        command: How it was called, for the record.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    where: Sequence[tuple[str, str]] = ()
    differences: Mapping[str, str] = field(default_factory=dict)
    baseline: str | None = None
    scale: Scale = "auto"
    metrics: Sequence[str] = ()
    lower: Sequence[str] = ()
    higher: Sequence[str] = ()
    signed: Sequence[str] = ()
    across: str | None = None
    path: str | None = None
    repeats: Repeats = "refuse"
    same_name: bool = False
    replace: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        runs: Runs in the results after it, of which `failed` have no score.
        scores: Scores in what was read.
        new: Scores that were not in the results; `equal` were, `replaced` had another value, `gone` are no more.
        items: Scores of single examples.
        said: What was concluded and left out, one sentence each.
    """

    runs: int
    scores: int
    new: int
    equal: int
    replaced: int
    gone: int
    failed: int
    items: int
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """A source as it was understood.

    Attributes:
        reading: As it was read, with one score a row.
        columns: What its columns hold.
        rows: Its scores, with the columns of `cleaning.KEY` and value.
        said: What was concluded.
    """

    reading: Reading
    columns: Columns
    rows: pd.DataFrame
    said: list[str]


def import_table(table: str | Path, results: str | Path, options: Options | None = None) -> Imported:
    """Merges the runs of a file or of a tree of result files into a results folder.

    Raises:
        UserError: The source cannot be read, a column is missing or unknown, a value is no score, or it differs from
            one that is there already.
        StorageError: The folder cannot be written.
    """
    path, options = Path(table).expanduser(), options or Options()
    folder = open_folder(results)
    outcome: list[tuple[Merged, list[str], int, pd.DataFrame | None, Source]] = []

    def change(old: State) -> tuple[State, bool]:
        reading = read(path, options)  # here, so that it is gone before the ledger's rows are made
        source = _source(path, reading, options)
        others = old.baselines(without=old.of_file(source))
        known = understood(reading, options, replace(old.settings, baselines=tuple(others)))
        merged, said = _merged(old, known, source, options)
        outcome.append((merged, [*known.said, *said], len(known.rows), reading.items, source))
        return merged.state, merged.changed

    derived = update(folder, change)
    merged, said, number, examples, source = outcome[-1]
    # Tables that were measured against different ones have no common name for it.
    named = merged.state.settings.baselines
    write_baseline(folder, named[0] if len(named) == 1 else NONE)
    write_stand_ins(folder, derived.stand_ins)
    items = write_items(folder, examples, source) if examples is not None else 0
    return Imported(
        derived.number, number, merged.new, merged.equal, merged.replaced, merged.gone, derived.failed,
        items, tuple(dict.fromkeys([*said, *derived.said])),
    )  # fmt: skip


def read(path: Path, options: Options) -> Reading:
    """The rows of a file or a folder.

    Raises:
        UserError: It is not there, or cannot be read.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a table of runs, or a folder of result files")
    reading = read_tree(path, options.path) if path.is_dir() or options.path else None
    if reading is None:
        reading = read_tree(path, None, only_known=True) or read_file(path)
    return reading


def understood(reading: Reading, options: Options, settings: Settings | None = None) -> Understood:
    """What an import would take a source for; nothing is written.

    Raises:
        UserError: It cannot be imported as it is.
    """
    return Understood(*_understood(reading, options, settings or Settings()))


def concluded(path: Path, known: Understood, options: Options) -> list[str]:
    """All that an import into an empty folder would say; nothing is written.

    Raises:
        UserError: It cannot be imported as it is.
    """
    merged, said = _merged(State(SCHEMA.empty_table()), known, _source(path, known.reading, options), options)
    with derive(merged.state) as derived:
        return list(dict.fromkeys([*known.said, *said, *derived.said]))


def _understood(
    given: Reading, options: Options, settings: Settings
) -> tuple[Reading, Columns, pd.DataFrame, list[str]]:
    reading = Reading(_where(given.frame, options.where, given.columns), given.shape, given.files, list(given.said),
                      given.told, given.items)  # fmt: skip
    melted = as_long(reading, dict(options.columns), dict(options.constants), options.across)
    reading, columns, odd = melted.reading, *sure_sizes(melted.reading, melted.columns, options.columns)
    need(columns, reading.columns)
    asked = {*(name for name, _ in options.where), *options.differences}
    said = [*reading.said, *_about_columns(columns, asked), *odd]
    rows = _checked_scores(reading, columns, options, settings, said)
    return reading, columns, rows, said


def _checked_scores(
    reading: Reading, columns: Columns, options: Options, settings: Settings, said: list[str]
) -> pd.DataFrame:
    rows = arranged(reading, columns, said)
    rows = without_summaries(rows, options.metrics, said)
    rows = with_splits(rows, "split" in columns.of or "split" in columns.constants, said)
    rows = with_english(rows, said)
    spelt = _spellings(rows, options, settings)
    rows = in_one_spelling(rows, spelt, said)
    there = set(rows["metric"])
    lower, higher, wanted, signed = (
        [_metric(name, spelt, there) for name in names]
        for names in (options.lower, options.higher, options.metrics, options.signed)
    )
    rows = by_direction(rows, lower, higher, wanted, said)
    for name in wanted:
        known = sorted(set(rows["metric"]))
        if name not in known:
            raise UserError(f"--metric {name}: not in the table; {did_you_mean(name, known)}")
    arms = spelt.get("intermediate", {})
    given = None if options.baseline is None else arms.get(options.baseline, options.baseline)
    rows = with_baseline(rows, given, [arms.get(name, name) for name in settings.baselines], said)
    gains = options.differences or marked_gains(rows, reading.frame, columns.unused)
    rows = absolute(rows, reading.frame, gains, said)
    rows = to_fractions(rows, options.scale, signed, said)
    rows = as_runs(rows, said)
    rows = with_seeds(rows, options.repeats, _differing(reading.frame, rows, columns), said)
    try:
        return without_duplicates(rows, reading.frame, columns, options.repeats, said)
    except UserError as error:
        made = [sentence for column, changes in spelt.items() for sentence in taken_for(column, changes)]
        raise UserError(f"{error} (--same-name: {'; '.join(made[:3])})" if made else str(error)) from None


def _spellings(rows: pd.DataFrame, options: Options, settings: Settings) -> dict[str, dict[str, str]]:
    """The names of a table that another spelling takes the place of: before its runs are counted and compared."""
    if not (options.same_name or settings.same_name):
        return {}
    names = {name: [str(value) for value in rows[name].dropna().unique()] for name in _NAMED}
    names["intermediate"] += settings.baselines
    return same_names(names)


def _metric(name: str, spelt: Mapping[str, Mapping[str, str]], there: Collection[str]) -> str:
    """A metric as the rows have it, by the name that the user gave."""
    changes = spelt.get("metric", {})
    found = changes.get(name, name)
    plain = without_split(name)[0]
    return found if found in there else changes.get(plain, plain)


def _differing(frame: pd.DataFrame, rows: pd.DataFrame, columns: Columns) -> list[str]:
    """Columns nobody named, in which rows of one run without a seed differ."""
    key = ["encoder", "intermediate", "target", "hyperparameters", "split", "language", "metric", "step"]
    double = rows[is_missing(rows["seed_name"]) & rows.duplicated(key, keep=False)] if columns.unused else rows[:0]
    if not len(double):
        return []
    mine = frame.loc[double["origin"].head(2000)]
    groups = [double[name].head(2000).astype(str).to_numpy() for name in key]
    return [name for name in columns.unused if (mine[name].astype(str).groupby(groups).nunique() > 1).any()]


def _merged(old: State, known: Understood, source: Source, options: Options) -> tuple[Merged, list[str]]:
    """The new state, and what was concluded of the two together."""
    before, said = old.settings, list[str]()
    metrics = [name for given in options.metrics for name in (given, without_split(given)[0])]
    old, baselines = _told_again(old, source, said)
    new = State(to_rows(known.rows, source), {source.key: source}, before.also(metrics, baselines, options.same_name))
    old, new, renamed_rows = _with_same_names(old, new, said)
    source, settings = new.sources[source.key], new.settings
    gone = old.superseded(source, replace=options.replace)
    there = {key: one for key, one in old.sources.items() if key not in gone} | {source.key: source}
    left, away = old.rows, old.rows.slice(0, 0)
    if gone:
        goes = pc.is_in(old.rows["source"], pa.array(sorted(gone), pa.string()))
        left, away = old.rows.filter(pc.invert(goes)), old.rows.filter(goes)
    left, own = with_one_baseline(left, new.rows, there, settings.baselines, said)
    rows = pa.concat_tables([left, away])
    merged = merge(State(rows, old.sources, settings), own, source, replace=options.replace)
    if len(merged.state.sources) > 1 and (settings.same_name or settings.baselines or renamed_rows):
        refuse_two_values(merged.state.rows)
    if merged.kept:
        said.append(
            f"{merged.kept} scores of an earlier version of this file are no longer in it: kept (--replace: gone)"
        )
    if "none" not in merged.state.rows["intermediate"].unique().to_pylist():
        said.append("no runs without an intermediate task: no gains (--baseline NAME says which intermediate is none)")
    return replace(merged, changed=merged.changed or renamed_rows or settings != before), said


def _told_again(old: State, source: Source, said: list[str]) -> tuple[State, list[str]]:
    """What was said of a file before gives way to what is said now: the state, and the names that stand for none."""
    earlier = old.of_file(source)
    baselines = old.baselines(without=earlier)
    baselines += [source.baseline] if source.baseline and source.baseline not in baselines else []
    for name in dict.fromkeys(old.sources[key].baseline for key in earlier):
        if name and name != source.baseline:
            said.append(f"--baseline {name}, which an earlier import of this file gave, no longer holds for it")
    sources = {
        key: replace(one, baseline=source.baseline) if key in earlier else one for key, one in old.sources.items()
    }
    return replace(old, sources=sources), baselines


def _with_same_names(old: State, new: State, said: list[str]) -> tuple[State, State, bool]:
    """Both with English as `en`, and with one spelling of each name where that is asked for; whether rows changed."""
    languages = english_names(str(name) for name in old.rows["language"].unique().to_pylist())
    old = renamed(old, {"language": dict.fromkeys(languages, "en")})  # imported by an older version
    names = {
        name: sorted({*old.rows[name].unique().to_pylist(), *new.rows[name].unique().to_pylist()}) for name in _NAMED
    }
    told = {*old.rows["baseline"].unique().to_pylist(), *new.rows["baseline"].unique().to_pylist()} - {None}
    names["intermediate"] = sorted({*names["intermediate"], *new.settings.baselines, *told})
    changes = same_names(names)
    if not new.settings.same_name:
        said += [f"{name} {other!r} and {now!r} differ only in case or white space: two {name}s (--same-name: one)"
                 for name, ones in changes.items() for other, now in ones.items()]  # fmt: skip
        return old, new, bool(languages)
    said += [sentence for name, ones in changes.items() for sentence in taken_for(name, ones)]
    return renamed(old, changes), renamed(new, changes), bool(languages) or any(changes.values())


def _source(path: Path, reading: Reading, options: Options) -> Source:
    digest, newest = hashlib.sha256(), 0
    for file in reading.files:
        if len(reading.files) > 1:
            digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
        newest = max(newest, int(file.stat().st_mtime))
    where = "&".join(sorted(f"{name}={value}" for name, value in options.where))
    changed = datetime.fromtimestamp(newest, UTC).isoformat()
    baseline = "" if options.baseline in (None, "none") else options.baseline
    return Source(str(path.resolve()), path.name, digest.hexdigest(), where, options.command, changed, baseline)


def _where(frame: pd.DataFrame, where: Sequence[tuple[str, str]], names: Sequence[object]) -> pd.DataFrame:
    for given, value in where:
        name = given.removesuffix("!")
        if name not in frame.columns:
            known = [str(column) for column in names]
            raise UserError(f"--where {given}={value}: no column {name!r}; {did_you_mean(name, known)}")
        kept = frame[(frame[name].astype(str) == value) != given.endswith("!")]
        if not len(kept):
            found = sorted(set(frame[name].astype(str)))
            raise UserError(f"--where {given}={value}: no row is left; {did_you_mean(value, found)}")
        frame = kept
    return frame


def _about_columns(columns: Columns, asked: Collection[str]) -> list[str]:
    said = [f"column {theirs!r} taken for {ours}" for ours, theirs in columns.guessed.items()]
    unused = [name for name in columns.unused if not {name, f"{name}!"} & set(asked)]
    if unused:
        shown = ", ".join(unused[:12]) + (f" and {len(unused) - 12} more" if len(unused) > 12 else "")
        said.append(f"columns not used: {shown} (--column hyperparameters=A,B makes them part of an arm)")
    return said
