"""The command that takes a table of runs from elsewhere."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from raystilts.cli.common import app, output
from raystilts.errors import UserError


@app.command("import")
def import_(
    table: Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file with a row for each run and score.")],
    out: Annotated[str, typer.Option("--out", "-o", help="The results folder to write to (or add to).")],
    column: Annotated[
        list[str] | None, typer.Option("--column", help="OURS=THEIRS, such as target=task; may be repeated.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", help="OURS=VALUE for all rows, such as split=dev; may be repeated.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", help="Only rows with COLUMN=VALUE (or COLUMN!=VALUE).")
    ] = None,
    difference: Annotated[
        list[str] | None, typer.Option("--difference", help="Rows with COLUMN=VALUE hold gains over the baseline.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="The intermediate that stands for none.")] = None,
    scale: Annotated[str, typer.Option(help="percent, fraction, or auto.")] = "auto",
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="Judge targets that have it by this one; may be repeated.")
    ] = None,
) -> None:
    """Import a table of anyone's runs; every other command then works on it.

    Columns: intermediate, target, value; if there are any, seed, metric, language, split, step,
    intermediate_fraction, target_fraction, encoder, examples, hyperparameters.

    Example: raystilts import transfer.csv --out results/transfer --column target=task
    """
    from raystilts.importing.table import Options, import_table

    options = Options(
        columns=dict(_pairs("--column", column)),
        constants=dict(_pairs("--set", constants)),
        where=_pairs("--where", where),
        differences=dict(_pairs("--difference", difference)),
        baseline=baseline,
        scale=_scale(scale),
        metrics=tuple(metric or ()),
        command=shlex.join(["raystilts", *sys.argv[1:]]),
    )
    done = import_table(table, out, options)
    console = output()
    for sentence in done.said:
        console.print(f"  {sentence}", highlight=False, markup=False)
    there = "" if done.new == done.runs else f" ({done.runs - done.new} of them were there already)"
    console.print(f"{done.runs} runs, {done.scores} scores in {out}{there}", highlight=False, markup=False)
    console.print(f"\nNext:\n  raystilts best {out}", highlight=False, markup=False)


def _scale(given: str) -> Literal["auto", "percent", "fraction"]:
    for known in ("auto", "percent", "fraction"):
        if given == known:
            return known
    raise UserError(f"--scale {given}: give auto, percent or fraction")


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text}: write NAME=VALUE")
        pairs.append((name, value))
    return pairs
