"""The command that writes the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import ResultsFolder, app, output
from raystilts.errors import UserError


@app.command()
def report(
    results: ResultsFolder,
    out: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML page: answers, gains, curves, cost, provenance.

    Example: raystilts report ~/raystilts_results/quickstart -o report.html
    """
    _check_writable(out)
    from raystilts.report.answers import Results
    from raystilts.report.html import gather, page

    loaded = Results(results)
    study = loaded.study()
    if study is not None and study.search is not None:
        from raystilts.report.html.search_page import search_page
        from raystilts.scheduling.search_outcome import outcomes

        text = search_page(loaded.folder.url, study, outcomes(loaded, study))
    else:
        text = page(gather(loaded))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {out}: cannot be written ({error.strerror}); give another file") from None
    output().print(f"{out}: {len(text.encode()) / 1e6:.2f} MB", highlight=False, soft_wrap=True)


def _check_writable(out: Path) -> None:
    """Says at once what would only be seen after the reading."""
    if out.is_dir():
        raise UserError(f"--output {out}: is a folder; give a file, such as {out / 'report.html'}")
    if not out.absolute().parent.is_dir():
        raise UserError(f"--output {out}: there is no folder {out.absolute().parent}; make it first, or give another")
