"""Commands that ask a results folder: the best arms, and the transfer matrix."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from raystilts.cli.common import AsJson, ResultsFolder, app
from raystilts.errors import UserError

Target = Annotated[str | None, typer.Option(help="Only this target.")]
Language = Annotated[str | None, typer.Option(help="One language instead of the mean.")]
Compared = Annotated[float | None, typer.Option(help="The fraction at which arms compete.")]
Overlap = Annotated[
    bool, typer.Option("--include-overlap", help="Let arms compete that train on the target's own data.")
]


class Value(StrEnum):
    """What a cell of the matrix holds."""

    gain = "gain"
    score = "score"
    p_best = "p_best"


@app.command()
def best(
    results: ResultsFolder,
    target: Target = None,
    language: Language = None,
    intermediate_fraction: Compared = None,
    include_overlap: Overlap = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="The best set by Hsu's worst-case test instead of the posterior.")
    ] = False,
    overall: Annotated[bool, typer.Option("--overall", help="Best on average over targets, alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """The best intermediate per target, how sure that is, and how much it gains over none.

    Example: raystilts best ~/raystilts_results/quickstart --target cldr_dates
    """
    if overall and target is not None:
        raise UserError("--overall and --target exclude each other: --overall is over all targets; drop one of them")
    if overall and strict:
        raise UserError("--overall and --strict exclude each other: the worst-case set is of one target; drop one")
    from raystilts.report.answers import Results

    loaded = Results(results)
    study = loaded.study()
    if study is not None and study.search is not None:
        from raystilts.cli.search import print_search

        print_search(loaded, study, target, as_json=as_json)
        return
    answers = loaded.answers(target, language, intermediate_fraction, include_overlap=include_overlap, strict=strict)
    if as_json and not overall:
        # An object a line: with indent, Python's own slow encoder would do it.
        arms = [json.dumps(arm.to_json()) for answer in answers for arm in answer.arms]
        print("[" + ",\n ".join(arms) + "]")
        return
    from raystilts.report.overall import over_targets

    if as_json:
        print(json.dumps(over_targets(answers).to_json(), indent=1))
        return
    from raystilts.report.tables import best_table, overall_table

    parts = [] if overall else [best_table(answer) for answer in answers]
    if overall or len(answers) > 1:
        parts.append(overall_table(over_targets(answers)))
    print("\n".join(parts), end="")


@app.command()
def matrix(
    results: ResultsFolder,
    value: Annotated[Value, typer.Option(help="What a cell holds.")] = Value.gain,
    language: Language = None,
    intermediate_fraction: Compared = None,
    plot: Annotated[Path | None, typer.Option(help="Write a heatmap here, such as matrix.png.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
) -> None:
    """The transfer matrix: an arm a row, a target a column.

    Example: raystilts matrix ~/raystilts_results/quickstart --value gain --plot gains.png
    """
    from raystilts.report.matrix import matrix_csv, matrix_text, transfer_matrix
    from raystilts.report.plot import check_plot, plot_matrix

    if plot is not None:
        check_plot(plot)
    from raystilts.report.answers import Results

    answers = Results(results).answers(language=language, intermediate_fraction=intermediate_fraction)
    found = transfer_matrix(answers, value.value)
    if plot is not None:
        plot_matrix(found, plot)
        print(plot, file=sys.stderr)
    if as_csv:
        print(matrix_csv(found), end="")
    elif plot is None:
        print(matrix_text(found), end="")
