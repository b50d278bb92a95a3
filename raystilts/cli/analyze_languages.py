"""`raystilts analyze language-similarity`: do gains follow the distance between languages?"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.analyze import CsvFile, PlotFile, analyze_app, check_files
from raystilts.cli.answers import Compared, Target
from raystilts.cli.common import AsJson, ResultsFolder

if TYPE_CHECKING:
    from raystilts.analysis.distances import Distances
    from raystilts.report.answers import Results


@analyze_app.command("language-similarity")
def language_similarity(
    results: ResultsFolder,
    target: Target = None,
    intermediate: Annotated[str | None, typer.Option(help="Only the gains of this arm.")] = None,
    intermediate_fraction: Compared = None,
    distances: Annotated[
        Path | None, typer.Option(help="A CSV with columns language and distances, instead of URIEL+.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="Plain text, <language>/train.parquet: adds the distance of sub-words.")
    ] = None,
    sizes: Annotated[
        Path | None, typer.Option(help="A CSV with columns language and one number to hold constant.")
    ] = None,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Rank correlation of gains with the distance from English, over languages: the unit is the language.

    Distances are URIEL+'s (pip install 'raystilts[languages]') unless a table is given.

    Example: raystilts analyze language-similarity RESULTS --text DIR/mono --plot similarity.png
    """
    check_files(csv, plot, distances, sizes)
    from raystilts.analysis.distances import read_columns, uriel_distances
    from raystilts.analysis.reading import read_strata
    from raystilts.analysis.similarity import BASELINE, gather_gains, relate
    from raystilts.errors import UserError
    from raystilts.report.analysis.similarity import language_rows, plot_similarity, similarity_json, similarity_text
    from raystilts.report.analysis.table_rows import to_json, write_csv
    from raystilts.report.answers import Results
    from raystilts.report.notes import overlaps

    control = read_columns(sizes, "--sizes") if sizes is not None else {}
    if len(control) > 1:
        raise UserError(f"--sizes {sizes}: one column of numbers is held constant, but it has {', '.join(control)}")
    given = read_columns(distances, "--distances") if distances is not None else None
    loaded = Results(results)
    strata = read_strata(loaded, target)
    gained = gather_gains(strata, partial(overlaps, study=loaded.study()), intermediate_fraction, intermediate)
    predictors = given if given is not None else uriel_distances(gained.gains)
    if text is not None:
        predictors = predictors | _subwords(loaded, text, list(gained.gains))
    found = relate(gained, predictors, next(iter(control.values()), None))
    shown = predictors | ({BASELINE: gained.level} if gained.level is not None else {})
    if csv is not None:
        write_csv(language_rows(found, shown), csv)
    if plot is not None:
        plot_similarity(found, shown, plot)
        print(plot, file=sys.stderr)
    print(to_json(similarity_json(found)) if as_json else similarity_text(found), end="\n" if as_json else "")


def _subwords(loaded: Results, text: Path, languages: list[str]) -> Distances:
    from raystilts.analysis.subword_overlap import load_tokenizer, subword_distances
    from raystilts.errors import UserError

    study = loaded.study()
    if study is None:
        raise UserError("--text: the results have no study.json, so the encoder's tokenizer is not known; leave it out")
    return {"sub-words": subword_distances(load_tokenizer(study.encoder), text, languages)}
