"""Which column of a table holds what: as told, else by its name."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from raystilts.errors import UserError, did_you_mean

#: What a table may hold, with names under which it is often found; the first is ours.
NAMES: dict[str, tuple[str, ...]] = {
    "intermediate": (
        "intermediate", "intermediate_task", "source", "source_task", "source_dataset", "src", "src_task",
        "transfer_from", "from", "arm", "pretrained_on", "train_task", "transfer_source", "system", "source_language",
        "source_lang", "src_lang", "train_language", "train_lang", "lang_train",
    ),
    "target": (
        "target", "target_task", "target_dataset", "tgt", "tgt_task", "transfer_to", "to", "eval_task", "task",
        "task_name", "dataset", "dataset_name", "benchmark", "tasks",
    ),
    "value": ("value", "score", "result", "performance", "metric_value", "mean", "mean_score", "avg_score"),
    "metric": ("metric", "metric_name", "measure"),
    "seed": ("seed", "random_seed", "run_seed", "target_seed", "seed_id", "run_id", "repeat", "trial"),
    "language": ("language", "lang", "target_language", "target_lang", "tgt_lang", "eval_lang", "test_language",
                 "test_lang", "lang_test", "lang_pred"),
    "split": ("split", "eval_split", "subset", "phase"),
    "step": ("step", "global_step", "steps"),
    "intermediate_fraction": ("intermediate_fraction", "fraction", "data_fraction", "intermediate_size"),
    "target_fraction": ("target_fraction", "target_size"),
    "encoder": ("encoder", "model", "model_name", "model_name_or_path", "base_model", "checkpoint", "model_id"),
    "examples": ("examples", "n_examples", "num_examples"),
    "hyperparameters": ("hyperparameters", "hparams"),
    "std": ("std", "stdev", "sd", "std_dev", "stddev", "standard_deviation"),
    "stderr": ("stderr", "se", "sem", "std_err", "standard_error"),
    "runs": ("runs", "n", "n_runs", "num_runs", "n_seeds", "num_seeds", "count"),
    "status": ("status", "state"),
}  # fmt: skip
REQUIRED = ("intermediate", "target", "value")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table.

    Attributes:
        of: What is held, to the column that holds it (for hyperparameters several, joined by commas).
        guessed: Those found by a name that is not ours.
        unused: Columns that hold nothing we know.
        constants: What holds for every row, or for those whose cell is empty.
    """

    of: dict[str, str]
    guessed: dict[str, str]
    unused: tuple[str, ...]
    constants: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """What every table needs, and this one lacks."""
        return [name for name in REQUIRED if name not in self.of and name not in self.constants]


def find_columns(
    there: Sequence[str], told: Mapping[str, str], constants: Mapping[str, str], prose: Collection[str] = ()
) -> Columns:
    """Assigns columns; some may be missing (`Columns.missing`).

    Args:
        there: Names of the table's columns.
        told: What the user said, our name to theirs; an empty one means that there is no such column.
        constants: What holds for every row, by our name; it needs no column.
        prose: Columns of sentences, which are never guessed to be something.

    Raises:
        UserError: A name is unknown.
    """
    check_names(told, constants)
    for ours, theirs in told.items():
        for name in _names(ours, theirs):
            if name not in there:
                raise UserError(f"--column {ours}={theirs}: the table has no column {name!r}; {listed(name, there)}")
    taken = {name for ours, theirs in told.items() for name in _names(ours, theirs)}
    of = {ours: theirs for ours, theirs in told.items() if theirs}
    guessed = {}
    for ours, names in NAMES.items():
        if ours not in told:
            found = _match(names, [name for name in there if name not in taken and name not in prose])
            if found is not None:
                of[ours] = found
                taken.add(found)
                if found != ours:
                    guessed[ours] = found
    if "intermediate" not in of and "intermediate" not in constants and "encoder" in guessed:
        of["intermediate"] = guessed["intermediate"] = guessed.pop("encoder")
        del of["encoder"]
    return Columns(of, guessed, tuple(name for name in there if name not in taken), dict(constants))


def check_names(told: Mapping[str, str], constants: Mapping[str, str]) -> None:
    """Raises `UserError` for a name that is not one of ours."""
    for option, names in (("--column", told), ("--set", constants)):
        for ours, value in names.items():
            if ours not in NAMES or (option == "--set" and ours == "value"):
                known = [name for name in NAMES if option == "--column" or name != "value"]
                raise UserError(f"{option} {ours}={value}: no such thing as {ours!r}; {did_you_mean(ours, known)}")


def hyperparameter_columns(columns: Columns) -> list[str]:
    """The columns whose values together are the hyperparameters."""
    return _names("hyperparameters", columns.of.get("hyperparameters", ""))


def need(columns: Columns, there: Sequence[str]) -> None:
    """Raises `UserError` with all columns where one that every table needs is missing."""
    missing = columns.missing
    if missing:
        first = missing[0]
        raise UserError(
            f"the table has no column for {' and '.join(missing)}; it has: {', '.join(there)}. Say which it is: "
            f"--column {first}=NAME (or --set {first}=VALUE for all rows; --explain shows how it is read)"
        )


def listed(name: str, there: Sequence[str]) -> str:
    """Names close to a wrong one, and all that there are."""
    shown = did_you_mean(name, there)
    close = "" if shown.startswith("known") else f"{shown} "
    return f"{close}It has: {', '.join(there)}."


def _names(ours: str, theirs: str) -> list[str]:
    if ours == "hyperparameters":
        return [name for name in theirs.split(",") if name]
    return [theirs] if theirs else []


def _match(names: Sequence[str], there: Sequence[str]) -> str | None:
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in reversed(there)}
    return next((plain[name] for name in names if name in plain), None)
