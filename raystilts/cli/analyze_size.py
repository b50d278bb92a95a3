"""`raystilts analyze intermediate-size` and `target-size`: what more data does to a gain."""

from __future__ import annotations

import sys
from functools import partial
from typing import Annotated

import typer

from raystilts.cli.analyze import CsvFile, PlotFile, analyze_app, check_files
from raystilts.cli.answers import Compared, Language, Target
from raystilts.cli.common import AsJson, ResultsFolder
from raystilts.errors import UserError

Metric = Annotated[str | None, typer.Option(help="Another metric than the main one, such as f1.")]


@analyze_app.command("intermediate-size")
def intermediate_size(
    results: ResultsFolder,
    target: Target = None,
    language: Language = None,
    metric: Metric = None,
    against: Annotated[
        str, typer.Option(help="Targets whose slopes are compared with the others', joined by commas.")
    ] = "pawsx",
    effect: Annotated[
        float, typer.Option(help="The difference of slopes, in points a tenfold, whose power is given.")
    ] = 1.0,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gain against the size of the intermediate data: slopes, a power law where the data identify one.

    --json and --csv hold every language beside the mean.

    Example: raystilts analyze intermediate-size ~/raystilts_results/intermediate_size --plot sizes.png
    """
    check_files(csv, plot)
    if not effect > 0:
        raise UserError(f"--effect {effect:g}: a difference in points above zero, such as 1")
    from raystilts.analysis.reading import check_language, read_strata
    from raystilts.analysis.size_curves import size_curves
    from raystilts.analysis.sizes import sizes_in_examples
    from raystilts.analysis.slopes import compare_slopes
    from raystilts.report.analysis.sizes import plot_sizes, size_rows, sizes_text
    from raystilts.report.analysis.table_rows import to_json, write_csv
    from raystilts.report.answers import Results
    from raystilts.report.notes import overlaps

    loaded = Results(results)
    study = loaded.study()
    overlap = partial(overlaps, study=study)
    size_of, unit = sizes_in_examples(study)
    strata = read_strata(loaded, target, metric)
    check_language(language, strata)
    shown = size_curves(strata, [language], size_of, overlap)
    if as_json or csv is not None:
        every = dict.fromkeys([None, *sorted({name for stratum in strata for name in stratum.languages})])
        rows = size_rows(size_curves(strata, [language] if language else every, size_of, overlap), unit)
        if csv is not None:
            write_csv(rows, csv)
    if plot is not None:
        plot_sizes(shown, unit, plot)
        print(plot, file=sys.stderr)
    if as_json:
        print(to_json(rows))
        return
    known = {curve.target for curve in shown}
    groups = [name for name in against.split(",") if name in known or against != "pawsx"]
    comparison = compare_slopes(strata, groups, size_of, overlap, effect / 100) if groups and len(known) > 1 else None
    print(sizes_text(shown, comparison, unit), end="")


@analyze_app.command("target-size")
def target_size(
    results: ResultsFolder,
    target: Target = None,
    language: Language = None,
    metric: Metric = None,
    intermediate_fraction: Compared = None,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gain against the size of the target data: where it ends, and how many target examples it is worth.

    Arms that train on the target's own training data are left out.

    Example: raystilts analyze target-size ~/raystilts_results/target_size --plot worth.png
    """
    check_files(csv, plot)
    from raystilts.analysis.reading import check_language, read_strata
    from raystilts.analysis.sizes import sizes_in_examples
    from raystilts.analysis.target_size import target_curves
    from raystilts.report.analysis.table_rows import to_json, write_csv
    from raystilts.report.analysis.target_size import plot_target_size, target_rows, target_size_text
    from raystilts.report.answers import Results
    from raystilts.report.notes import overlaps

    loaded = Results(results)
    study = loaded.study()
    size_of, unit = sizes_in_examples(study)
    strata = read_strata(loaded, target, metric)
    check_language(language, strata)
    curves = target_curves(strata, language, size_of, partial(overlaps, study=study), intermediate_fraction)
    rows = target_rows(curves, unit)
    if csv is not None:
        write_csv(rows, csv)
    if plot is not None:
        plot_target_size(curves, unit, plot)
        print(plot, file=sys.stderr)
    print(to_json(rows) if as_json else target_size_text(curves, unit), end="\n" if as_json else "")
