"""`raystilts analyze gains`: gains in each language, honest for all of them together."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from raystilts.cli.analyze import CsvFile, PlotFile, analyze_app, check_files
from raystilts.cli.answers import Compared, Target
from raystilts.cli.common import AsJson, ResultsFolder


@analyze_app.command()
def gains(
    results: ResultsFolder,
    target: Target = None,
    intermediate_fraction: Compared = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than the main one, such as f1 or em.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every language, also of targets with many.")] = False,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gains over none in each language, with intervals that hold for all arms and languages of a target together.

    Example: raystilts analyze gains ~/raystilts_results/afriqa --target afriqa --metric f1
    """
    check_files(csv, plot)
    from raystilts.analysis.gains import language_gains
    from raystilts.analysis.reading import read_strata
    from raystilts.errors import UserError
    from raystilts.report.analysis.gains import gain_rows, gains_text, plot_gains
    from raystilts.report.analysis.table_rows import to_json, write_csv
    from raystilts.report.answers import Results
    from raystilts.report.notes import overlaps

    loaded = Results(results)
    study = loaded.study()
    fraction = intermediate_fraction or (study.compared_fraction if study is not None else None)
    overlap = partial(overlaps, study=study)
    found = [language_gains(one, overlap, fraction) for one in read_strata(loaded, target, metric)]
    families = [family for family in found if family]
    if not families:
        raise UserError("no gains: the results hold no target that both `none` and another arm were scored on")
    if csv is not None:
        write_csv(gain_rows(families), csv)
    if plot is not None:
        plot_gains(families, plot)
        print(plot, file=sys.stderr)
    print(to_json(gain_rows(families)) if as_json else gains_text(families, every), end="\n" if as_json else "")
