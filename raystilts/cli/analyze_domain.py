"""`raystilts analyze domain-shift`: how far apart data sets are, and whether gains follow that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.analyze import CsvFile, PlotFile, analyze_app, check_files
from raystilts.cli.common import AsJson
from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.report.answers import Results
    from raystilts.study.schema import Study


@analyze_app.command("domain-shift")
def domain_shift(
    place: Annotated[str, typer.Argument(metavar="STUDY_OR_RESULTS", help="A study file, or a results folder.")],
    texts: Annotated[int, typer.Option(help="Texts of each data set.", min=20)] = 400,
    permutations: Annotated[int, typer.Option(help="Of the test of MMD.", min=99)] = 999,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Distances between intermediates' and targets' texts in the encoder's space, and their relation to gains.

    Example: raystilts analyze domain-shift ~/raystilts_results/domain_shift_small --plot shift.png
    """
    check_files(csv, plot)
    from raystilts.report.analysis.domain import answer, answer_rows, answer_text, plot_shifts
    from raystilts.report.analysis.table_rows import to_json, write_csv

    study, results = _study_and_results(place)
    found = answer(study, results, texts, permutations)
    if csv is not None:
        write_csv(answer_rows(found)["shifts"], csv)
    if plot is not None:
        plot_shifts(found, plot)
        print(plot, file=sys.stderr)
    print(to_json(answer_rows(found)) if as_json else answer_text(found), end="\n" if as_json else "")


def _study_and_results(place: str) -> tuple[Study, Results | None]:
    """The study that is asked about, and its results where there are any."""
    from raystilts.cli.run import _find
    from raystilts.report.answers import Results
    from raystilts.results.filesystem import open_folder
    from raystilts.study.folders import results_folder
    from raystilts.study.schema import Study

    path = _find(Path(place))
    if path.is_file():
        study = Study.from_file(path)
        folder = open_folder(results_folder(study))
        return study, Results(folder) if folder.exists() else None
    results = Results(place)
    found = results.study()
    if found is None:
        raise UserError(f"{place}: holds no study.json; give the study file instead, which names data and encoder")
    return found, results
