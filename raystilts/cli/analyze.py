"""The group of commands `raystilts analyze`; each research question adds its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import app
from raystilts.errors import UserError

analyze_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The research questions: sizes of the data, gains by language, linguistic similarity, domain shift.",
)
app.add_typer(analyze_app, name="analyze")

CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write the table behind the answer here.")]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Write a figure here, such as sizes.png; its data goes beside it as CSV.")
]


def check_files(csv: Path | None, plot: Path | None, *given: Path | None) -> None:
    """Finds out before the results are read whether the files asked for can be written.

    Args:
        csv: To be written; likewise `plot`, which brings its data beside it.
        given: Files that are read, and must not be overwritten.

    Raises:
        UserError: They cannot.
    """
    if plot is not None:
        from raystilts.report.plot import check_plot

        check_plot(plot)
    if csv is not None and not csv.absolute().parent.is_dir():
        raise UserError(f"--csv {csv}: there is no folder {csv.absolute().parent}; make it first")
    for path in filter(None, (csv, plot and plot.with_suffix(".csv"))):
        if path.resolve() in [one.resolve() for one in given if one is not None]:
            raise UserError(f"the table {path} would overwrite the one that was given; give the output another name")
