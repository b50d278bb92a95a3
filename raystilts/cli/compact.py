"""The command that merges the files of a results folder."""

from __future__ import annotations

from typing import Annotated

import typer

from raystilts.cli.common import ResultsFolder, app, output
from raystilts.errors import UserError


@app.command()
def compact(
    results: ResultsFolder,
    grace: Annotated[float, typer.Option(help="Keep merged files this many seconds, for readers at work.")] = 0.0,
) -> None:
    """Merge the files of single runs into large ones, which every question reads faster.

    Runs do this themselves. It is safe at any time, also while a study runs. Afterwards DuckDB, polars and
    pandas read everything from RESULTS/compacted/.

    Example: raystilts compact ~/raystilts_results/quickstart
    """
    from raystilts.results.compact import clean_up
    from raystilts.results.compact import compact as merge
    from raystilts.results.filesystem import open_folder

    folder = open_folder(results)
    if not folder.exists():
        raise UserError(f"{results}: no such results folder; give <storage_path>/<study name>")
    done = merge(folder)
    deleted = clean_up(folder, older_than=grace)
    output().print(
        f"{done.files['runs']} runs with {done.rows['scores']} scores merged, {deleted} files deleted",
        highlight=False,
    )
