"""Which column of a table holds what: as told, else by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raystilts.errors import UserError, did_you_mean

#: What a table may hold, with names under which it is often found; the first is ours.
NAMES: dict[str, tuple[str, ...]] = {
    "intermediate": ("intermediate", "intermediate_task", "source", "source_task", "src", "transfer_from"),
    "target": ("target", "target_task", "task", "tgt", "dataset", "transfer_to"),
    "value": ("value", "score", "result", "performance", "metric_value"),
    "metric": ("metric", "metric_name", "measure"),
    "seed": ("seed", "random_seed", "run_seed", "target_seed"),
    "language": ("language", "lang", "target_language", "target_lang"),
    "split": ("split", "eval_split", "subset", "phase"),
    "step": ("step", "global_step", "steps"),
    "intermediate_fraction": ("intermediate_fraction", "fraction", "data_fraction", "intermediate_size"),
    "target_fraction": ("target_fraction", "target_size"),
    "encoder": ("encoder", "model", "model_name", "model_name_or_path"),
    "examples": ("examples", "n_examples", "num_examples"),
    "hyperparameters": ("hyperparameters", "hparams"),
}
CONSTANTS = ("intermediate", "target", "language", "split", "metric", "encoder")
REQUIRED = ("intermediate", "target", "value")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table.

    Attributes:
        of: What is held, to the column that holds it (for hyperparameters several, joined by commas).
        guessed: Those found by a name that is not ours.
        unused: Columns that hold nothing we know.
    """

    of: dict[str, str]
    guessed: dict[str, str]
    unused: tuple[str, ...]


def find_columns(there: Sequence[str], told: Mapping[str, str], constants: Mapping[str, str]) -> Columns:
    """Assigns columns.

    Args:
        there: Names of the table's columns.
        told: What the user said, our name to theirs.
        constants: What holds for every row, by our name; it needs no column.

    Raises:
        UserError: A name is unknown, or a column is missing that every table needs.
    """
    for ours, value in constants.items():
        if ours not in CONSTANTS:
            raise UserError(f"--set {ours}={value}: only {', '.join(CONSTANTS)} can be set for all rows")
    for ours, theirs in told.items():
        if ours not in NAMES:
            raise UserError(f"--column {ours}={theirs}: no such thing as {ours!r}; {did_you_mean(ours, NAMES)}")
        for name in _names(ours, theirs):
            if name not in there:
                raise UserError(f"--column {ours}={theirs}: the table has no column {name!r}; {_there(name, there)}")
    taken = {name for ours, theirs in told.items() for name in _names(ours, theirs)}
    of, guessed = dict(told), {}
    for ours, names in NAMES.items():
        if ours not in of and ours not in constants:
            found = _match(names, [name for name in there if name not in taken])
            if found is not None:
                of[ours] = found
                taken.add(found)
                if found != ours:
                    guessed[ours] = found
    missing = [name for name in REQUIRED if name not in of and name not in constants]
    if missing:
        first = missing[0]
        raise UserError(
            f"the table has no column for {' and '.join(missing)}; {_there(first, there)} "
            f"Say which it is: --column {first}=NAME"
        )
    return Columns(of, guessed, tuple(name for name in there if name not in taken))


def hyperparameter_columns(columns: Columns) -> list[str]:
    """The columns whose values together are the hyperparameters."""
    return _names("hyperparameters", columns.of.get("hyperparameters", ""))


def _names(ours: str, theirs: str) -> list[str]:
    return [name for name in theirs.split(",") if name] if ours == "hyperparameters" else [theirs]


def _match(names: Sequence[str], there: Sequence[str]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in reversed(there)}
    return next((plain[name] for name in names if name in plain), None)


def _there(name: str, there: Sequence[str]) -> str:
    shown = did_you_mean(name, there)
    return shown if shown.startswith("known") else f"{shown} It has: {', '.join(there)}."
