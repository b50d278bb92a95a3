"""The command that says what to run next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import ResultsFolder, app
from raystilts.errors import UserError


@app.command("next")
def next_command(
    results: ResultsFolder,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the study file here.")] = None,
    probability: Annotated[float, typer.Option(help="Wanted chance of settling each target.")] = 0.8,
    max_seeds: Annotated[int, typer.Option(help="The largest number of further seeds to think of.")] = 16,
    tolerance: Annotated[float, typer.Option(help="Points of loss that do not matter.")] = 0.0,
) -> None:
    """The cheapest further runs that would settle the open targets, as a study file.

    Example: raystilts next ~/raystilts_results/quickstart -o next.yaml
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.absolute().parent}; make it first")
    from raystilts.report.answers import Results
    from raystilts.report.next_file import duration, need_sentence, write_studies
    from raystilts.report.next_runs import next_runs
    from raystilts.report.tables import count, wrap

    loaded = Results(results)
    found = next_runs(loaded, probability=probability, max_seeds=max_seeds, tolerance=tolerance / 100)
    lines = [f"settled: {', '.join(found.settled)}"] if found.settled else []
    lines += [f"open: {label}: {reason}" for label, reason in found.hopeless]
    lines += [f"open: {need_sentence(need)}" for need in found.needs]
    if found.grids:
        seconds, runs = sum(grid.seconds for grid in found.grids), sum(grid.runs for grid in found.grids)
        lines.append(f"together {count(runs, 'stage')}, {duration(seconds)} of a device by the recorded times")
    print("\n".join(line for text in lines for line in wrap(text)))
    if not found.grids:
        print("nothing to run" if not found.hopeless else "no study file: no further runs are worth their cost")
        return
    if output is None:
        print(f"\nNext:\n  raystilts next {shlex.quote(results)} -o next.yaml")
        return
    paths = write_studies(found, output, loaded.folder.url)
    print("\nNext:")
    for path in paths:
        print(f"  raystilts run {shlex.quote(str(path))}")
