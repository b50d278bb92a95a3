"""Importing a table of runs: read, put in order, say what was concluded, write."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.importing.cleaning import arranged, main_metrics, with_baseline, without_duplicates
from raystilts.importing.columns import Columns, find_columns
from raystilts.importing.rows import Origin, ledger_rows
from raystilts.importing.values import Scale, absolute, to_fractions
from raystilts.results.compaction import write_attempts


@dataclass(frozen=True, slots=True)
class Options:
    """How to read a table.

    Attributes:
        columns: Our names to the table's columns.
        constants: Our names to what holds for every row, instead of a column.
        where: Columns and values: only these rows; a column with "!" at its end: all but these.
        differences: Column to value: these rows hold the difference from the baseline on the same target.
        baseline: The intermediate that stands for no intermediate task.
        metrics: Main metrics; of a target that has several of its own, the first of these.
        command: How it was called, for the record.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    where: Sequence[tuple[str, str]] = ()
    differences: Mapping[str, str] = field(default_factory=dict)
    baseline: str | None = None
    scale: Scale = "auto"
    metrics: Sequence[str] = ()
    command: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        runs: Runs in the table, of which `new` were not in the results yet.
        said: What was concluded and left out, one sentence each.
    """

    runs: int
    new: int
    scores: int
    failed: int
    said: tuple[str, ...]


def import_table(table: str | Path, results: str | Path, options: Options | None = None) -> Imported:
    """Writes the runs of a CSV or Parquet file into a results folder.

    Raises:
        UserError: The file cannot be read, a column is missing or unknown, or a value is no score.
        StorageError: The folder cannot be written.
    """
    path, options = Path(table).expanduser(), options or Options()
    frame = _read(path)
    columns = find_columns([str(name) for name in frame.columns], options.columns, options.constants)
    frame = _where(frame, options.where)
    said = _about_columns(columns, {*(name for name, _ in options.where), *options.differences})
    rows = arranged(frame, columns, options.constants, said)
    rows = with_baseline(rows, options.baseline, said)
    rows = absolute(rows, frame, options.differences, said)
    rows["value"], about = to_fractions(rows["value"], rows["metric"], options.scale)
    said += about
    rows = without_duplicates(rows, frame, columns, said)
    main = main_metrics(rows, options.metrics, said)
    runs, scores = ledger_rows(rows, main, _origin(path, options.command))
    failed = sum(run.status == "failed" for run in runs)
    if failed:
        said.append(f"{failed} run(s) without a value count as failed")
    return Imported(len(runs), write_attempts(str(results), runs, scores), len(scores), failed, tuple(said))


def _origin(path: Path, command: str) -> Origin:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    return Origin(digest, f"{path.name}, sha256 {digest}, by {command or 'import_table'}", changed)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a CSV or a Parquet file with a row for each run and score")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            # "none" and "NA" may be names of tasks: only an empty cell is missing.
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            frame = pd.read_csv(path, sep=separator, keep_default_na=False, na_values=[""], comment=None)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: neither CSV nor Parquet ({str(error).splitlines()[0]})") from None
    if not len(frame):
        raise UserError(f"{path}: the table has no rows")
    return frame


def _where(frame: pd.DataFrame, where: Sequence[tuple[str, str]]) -> pd.DataFrame:
    for given, value in where:
        name = given.removesuffix("!")
        if name not in frame.columns:
            names = [str(column) for column in frame.columns]
            raise UserError(f"--where {given}={value}: no column {name!r}; {did_you_mean(name, names)}")
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
        said.append(f"columns not used: {', '.join(unused)} (--column hyperparameters=A,B makes them part of an arm)")
    return said
