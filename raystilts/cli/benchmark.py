"""The command that gives a suite's score."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from raystilts.cli.common import AsJson, ResultsFolder, app, output


@app.command()
def benchmark(
    results: ResultsFolder,
    suite: Annotated[str, typer.Option(help="xtreme, xtreme_r, or targets such as pawsx,xnli.")] = "xtreme",
    languages: Annotated[str, typer.Option(help='The one set of languages, such as "de,sw,zh".')] = "",
    intermediate_fraction: Annotated[float | None, typer.Option(help="The fraction at which arms compete.")] = None,
    include_overlap: Annotated[
        bool, typer.Option("--include-overlap", help="Let arms be best that train on the target's own data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """A benchmark's score without intermediate task, with each, and with the best per target.

    Example: raystilts benchmark ~/raystilts_results/phang2020 --suite xtreme --include-overlap
    """
    from raystilts.report.answers import Results
    from raystilts.report.suite_tables import suite_view
    from raystilts.report.suites import benchmark as score_suite
    from raystilts.tasks.suites import get_suite

    answer = score_suite(
        Results(results),
        get_suite(suite),
        languages=languages.replace(",", " ").split(),
        intermediate_fraction=intermediate_fraction,
        include_overlap=include_overlap,
    )
    if as_json:
        print(json.dumps({"complete": answer.own.complete, **asdict(answer)}, indent=1))
    else:
        output().print(suite_view(answer), highlight=False)
