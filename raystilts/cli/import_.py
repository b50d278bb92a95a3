"""The command that takes results from elsewhere."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from raystilts.cli.common import app, output
from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.importing.table import Imported, Options

Texts = list[str] | None
T = TypeVar("T", bound=str)


@app.command("import")
def import_(
    table: Annotated[
        Path, typer.Argument(help="A table of runs, or a folder of result files (see docs/howto/import.md).")
    ],
    out: Annotated[str | None, typer.Option("--out", "-o", help="The results folder to write to (or add to).")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Only show how it would be read.")] = False,
    column: Annotated[
        Texts, typer.Option("--column", help="OURS=THEIRS, such as target=task; may be repeated.")
    ] = None,
    constants: Annotated[
        Texts, typer.Option("--set", help="OURS=VALUE where the file says nothing, such as seed=1; may be repeated.")
    ] = None,
    where: Annotated[Texts, typer.Option("--where", help="Only rows with COLUMN=VALUE (or COLUMN!=VALUE).")] = None,
    difference: Annotated[
        Texts, typer.Option("--difference", help="Rows with COLUMN=VALUE hold gains over the baseline.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="The intermediate that stands for none.")] = None,
    scale: Annotated[str, typer.Option(help="percent, fraction, or auto (by metric and target).")] = "auto",
    metric: Annotated[Texts, typer.Option("--metric", help="Judge targets that have it by this one.")] = None,
    lower: Annotated[
        Texts, typer.Option("--lower", help="This metric is better when lower: 1 minus it counts.")
    ] = None,
    higher: Annotated[Texts, typer.Option("--higher", help="This metric is better when higher.")] = None,
    signed: Annotated[
        Texts, typer.Option("--signed", help="This metric may be below zero, such as a correlation.")
    ] = None,
    across: Annotated[
        str | None,
        typer.Option(help="What the columns of a wide table are: target, intermediate, language, metric, seed, split."),
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="What the names of folders are: '{intermediate}/{target}/seed{seed}'.")
    ] = None,
    repeats: Annotated[
        str, typer.Option(help="Rows that give several values for one run: refuse, first, or average.")
    ] = "refuse",
    same_name: Annotated[
        bool, typer.Option("--same-name", help="Names that differ only in case or white space are one.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="New values replace those that are there; rows gone from the file go.")
    ] = False,
) -> None:
    """Import a table of anyone's runs, or a folder of result files; every other command then works on it.

    What is new is added, what is equal is kept, what differs is refused (--replace).

    Example: raystilts import transfer.csv --out results/transfer --column target=task
    """
    # Allocators of their own keep what they were given: a fifth more memory. Read when these libraries are loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.setdefault("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
    from raystilts.importing.table import Options, import_table

    options = Options(
        columns=dict(_pairs("--column", column)),
        constants=dict(_pairs("--set", constants)),
        where=_pairs("--where", where),
        differences=dict(_pairs("--difference", difference)),
        baseline=baseline,
        scale=_one_of("--scale", scale, "auto", "percent", "fraction"),
        metrics=tuple(metric or ()),
        lower=tuple(lower or ()),
        higher=tuple(higher or ()),
        signed=tuple(signed or ()),
        across=across,
        path=path,
        repeats=_one_of("--repeats", repeats, "refuse", "first", "average"),
        same_name=same_name,
        replace=replace,
        command=shlex.join(["raystilts", *sys.argv[1:]]),
    )
    if explain:
        _explain(table, options)
        return
    if out is None:
        raise UserError(
            "--out is missing: the results folder to write to, such as --out results/transfer (or --explain)"
        )
    _show(import_table(table, out, options), out)


def _explain(table: Path, options: Options) -> None:
    from raystilts.importing.explain import explained, refused
    from raystilts.importing.table import concluded, read, understood

    reading = read(table.expanduser(), options)
    console = output()
    try:
        known = understood(reading, options)
        lines = explained(known, concluded(table.expanduser(), known, options))
    except UserError as error:
        for line in refused(reading, options, error)[:-1]:
            console.print(line, soft_wrap=True)
        raise
    for line in lines:
        console.print(line, soft_wrap=True)


def _show(done: Imported, out: str) -> None:
    console = output()
    for sentence in done.said:
        console.print(f"  {sentence}", soft_wrap=True)
    counts = {"new": done.new, "there already": done.equal, "replaced": done.replaced, "gone": done.gone}
    shown = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    console.print(f"{done.scores} scores read: {shown or 'nothing changed'}")
    if done.items:
        console.print(f"{done.items} scores of single examples")
    failed = f", {done.failed} of them failed" if done.failed else ""
    console.print(f"{done.runs} runs in {out}{failed}")
    console.print(f"\nNext:\n  raystilts best {out}")


def _one_of(option: str, given: str, *known: T) -> T:
    for one in known:
        if given == one:
            return one
    raise UserError(f"{option} {given}: give {', '.join(known[:-1])} or {known[-1]}")


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text}: write NAME=VALUE")
        pairs.append((name, value))
    return pairs
