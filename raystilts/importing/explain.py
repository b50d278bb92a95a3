"""What an import would take a source for: each column, the first rows, and the options that would change it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from raystilts.errors import UserError
from raystilts.importing.columns import NAMES, Columns, hyperparameter_columns
from raystilts.importing.numbers import numeric_share
from raystilts.importing.reading import Reading
from raystilts.importing.table import Options, Understood
from raystilts.importing.wide import ACROSS, as_long

_SHOWN = 3
_OURS = ("intermediate", "target", "language", "split", "metric", "seed", "step", "value")


def explained(known: Understood, said: Sequence[str]) -> list[str]:
    """Lines for a source that can be imported, of which `said` is concluded."""
    lines = [*_columns(known.reading, known.columns), "", "the first rows, as they are read:"]
    rows = known.rows.head(_SHOWN)
    for place, (_, row) in enumerate(rows.iterrows(), 1):
        told = [f"{name}={row[name]:.4g}" if name == "value" else f"{name}={row[name]}" for name in _OURS]
        extra = [f"{name}={row[name]}" for name in ("intermediate_fraction", "target_fraction") if pd.notna(row[name])]
        extra += [f"hyperparameters={row['hyperparameters']}"] if row["hyperparameters"] != "{}" else []
        lines.append(f"  {place}. {', '.join([*told, *extra])}")
    return [*lines, "", "concluded:", *(f"  {sentence}" for sentence in said), "", *_options(known)]


def refused(reading: Reading, options: Options, error: UserError) -> list[str]:
    """Lines for a source that cannot be imported as it is."""
    try:
        melted = as_long(reading, dict(options.columns), dict(options.constants), options.across)
    except UserError:
        return [f"columns: {', '.join(map(str, reading.columns))}", "", str(error)]
    head = melted.reading.frame[melted.reading.columns].head(_SHOWN)
    rows = [f"  {i}. {', '.join(f'{n}={v}' for n, v in row.items())}" for i, (_, row) in enumerate(head.iterrows(), 1)]
    return [*_columns(melted.reading, melted.columns), "", "the first rows, as they stand:", *rows, "", str(error)]


def _columns(reading: Reading, columns: Columns) -> list[str]:
    files = reading.files[0].name if len(reading.files) == 1 else f"{len(reading.files)} files"
    ours = {theirs: name for name, theirs in columns.of.items()}
    ours |= dict.fromkeys(hyperparameter_columns(columns), "hyperparameters")
    lines = [f"{files}: {reading.shape}", "", "columns:"]
    for name in reading.columns:
        column = reading.frame[name]
        examples = ", ".join(str(value) for value in column.dropna().astype(str).unique()[:3])
        kind = "numbers" if numeric_share(column) == 1.0 else "texts"
        lines.append(f"  {name!r} ({kind}: {examples}): {ours.get(name, 'not used')}")
    for name, value in columns.constants.items():
        if name not in columns.of:
            lines.append(f"  (--set) {name}: {value}")
    return lines


def _options(known: Understood) -> list[str]:
    """The options that would read it otherwise, with this source's own names."""
    of = known.columns.of
    metrics = [str(name) for name in known.rows["metric"].unique()]
    arms = [str(name) for name in known.rows["intermediate"].unique()]
    free = [*known.columns.unused, "COLUMN"]
    lines = [
        f"--column {'|'.join(NAMES)}=COLUMN: another column, such as --column "
        f"{'seed' if 'seed' not in of else 'hyperparameters'}={free[0]}",
        "--set language|split|metric|seed|...=VALUE: what the file lacks",
        f"--metric NAME: judge by it ({_few(metrics)})",
        f"--baseline NAME: which intermediate is none ({_few(arms)})",
        "--scale percent|fraction; --lower NAME, --higher NAME: which way a metric is better; --signed NAME",
        f"--where COLUMN=VALUE: only some rows ({_few([*of.values()])})",
        "--repeats first|average: rows that give several values for one run",
    ]
    if "wide" in known.reading.shape:
        lines.append(f"--across {'|'.join(ACROSS)}: what the columns of a wide table are")
    if any(str(name).startswith("folder_") for name in known.reading.columns):
        lines.append("--path '{intermediate}/{target}/seed{seed}': what the names of folders are")
    return ["to read it otherwise:", *(f"  {line}" for line in lines)]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
