"""Commands that take a results folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from raystilts.cli.common import AsJson, ResultsFolder, app, output


@app.command()
def best(
    results: ResultsFolder,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    language: Annotated[str | None, typer.Option(help="One language instead of the mean.")] = None,
    intermediate_fraction: Annotated[float | None, typer.Option(help="The fraction at which arms compete.")] = None,
    include_overlap: Annotated[
        bool, typer.Option("--include-overlap", help="Let arms compete that train on the target's own data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The best intermediate per target, how sure that is, and how much it gains over none.

    Example: raystilts best ~/raystilts_results/quickstart --target cldr_dates
    """
    from raystilts.report.answers import Results
    from raystilts.report.tables import best_table

    answers = Results(results).answers(target, language, intermediate_fraction, include_overlap=include_overlap)
    if as_json:
        print(json.dumps([asdict(arm) for answer in answers for arm in answer.arms], indent=1))
        return
    out = output()
    for answer in answers:
        out.print(best_table(answer), highlight=False)
