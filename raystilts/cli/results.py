"""Commands on a results folder: best, matrix, next, report, benchmark, compact."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.common import AsJson, EncoderName, ResultsFolder, app, open_results, output, print_completeness, say
from raystilts.errors import StorageError, UserError

if TYPE_CHECKING:
    from raystilts.analysis.encoders import EncoderComparison
    from raystilts.results.answers import TargetAnswer
    from raystilts.results.results import Results

Target = Annotated[str | None, typer.Option(help="Only this target.")]
Language = Annotated[str | None, typer.Option(help="One language instead of the mean.")]
AtFraction = Annotated[float | None, typer.Option(help="The fraction at which arms compete.")]
Overlap = Annotated[
    bool, typer.Option("--include-overlap", help="Let arms compete that train on the target's own data.")
]


class Compared(StrEnum):
    """What is put beside each other."""

    encoders = "encoders"


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
    intermediate_fraction: AtFraction = None,
    include_overlap: Overlap = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="The best set by Hsu's worst-case test instead of the posterior.")
    ] = False,
    overall: Annotated[bool, typer.Option("--overall", help="Best on average over targets, alone.")] = False,
    encoder: EncoderName = None,
    compare: Annotated[Compared | None, typer.Option(help="Only the encoders beside each other.")] = None,
    as_json: AsJson = False,
) -> None:
    """The best intermediate per target, how sure that is, and how much it gains over none.

    Of a study with several encoders: that for each, and then the encoders beside each other.

    Example: raystilts best ~/raystilts_results/quickstart --target cldr_seasons
    """
    if compare is not None and (encoder is not None or overall or strict):
        raise UserError("--compare is over all encoders, target by target; drop --encoder, --overall and --strict")
    if overall and target is not None:
        raise UserError("--overall and --target exclude each other: --overall is over all targets; drop one of them")
    if overall and strict:
        raise UserError("--overall and --strict exclude each other: the worst-case set is of one target; drop one")
    loaded = open_results(results, encoder)
    study = loaded.study()
    if study is not None and study.search is not None:
        from raystilts.cli.search import print_search

        print_search(loaded, study, target, as_json=as_json)
        return
    asked = _Asked(target, language, intermediate_fraction, include_overlap, strict)
    parts = [] if compare is not None else loaded.by_encoder()
    if as_json:
        _best_json(loaded, parts, asked, overall=overall)
        return
    texts = [_heading(part, parts) + _best_text(part, asked, overall=overall) for part in parts]
    if compare is not None or (len(parts) > 1 and not overall):
        from raystilts.report.encoder_text import comparison_text

        texts.append(comparison_text(asked.compared(loaded)))
    print_completeness(loaded)
    say("\n".join(texts), end="")


def _heading(part: Results, parts: Sequence[Results]) -> str:
    """Says whose the answers below are, where there are several encoders."""
    return f"== {part.encoder} ==\n\n" if len(parts) > 1 else ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `best` is asked."""

    target: str | None
    language: str | None
    intermediate_fraction: float | None
    include_overlap: bool
    strict: bool

    def answers(self, part: Results) -> list[TargetAnswer]:
        """The answers of one encoder."""
        options = {"include_overlap": self.include_overlap, "strict": self.strict}
        return part.answers(self.target, self.language, self.intermediate_fraction, **options)

    def compared(self, loaded: Results) -> list[EncoderComparison]:
        """The encoders beside each other."""
        from raystilts.analysis.encoders import compare_encoders

        place = self.target, self.language, self.intermediate_fraction
        return compare_encoders(loaded, *place, include_overlap=self.include_overlap)


def _best_json(loaded: Results, parts: Sequence[Results], asked: _Asked, *, overall: bool) -> None:
    """Arms of all targets, or of all encoders; of several encoders each row says whose it is."""
    if not parts:
        print(json.dumps([asdict(one) for one in asked.compared(loaded)], indent=1))
        return
    whose = [{"encoder": part.encoder} if len(parts) > 1 else {} for part in parts]
    if overall:
        from raystilts.results.over_targets import over_targets

        found = [own | over_targets(asked.answers(part)).to_json() for part, own in zip(parts, whose, strict=True)]
        print(json.dumps(found[0] if len(found) == 1 else found, indent=1))
        return
    # An object a line: with indent, Python's own slow encoder would do it.
    arms = [json.dumps(own | arm.to_json()) for part, own in zip(parts, whose, strict=True)
            for answer in asked.answers(part) for arm in answer.arms]  # fmt: skip
    print("[" + ",\n ".join(arms) + "]")


def _best_text(part: Results, asked: _Asked, *, overall: bool) -> str:
    """The answers of one encoder."""
    from raystilts.analysis.above_chance import with_constants
    from raystilts.report.text import best_table, left_out, overall_table
    from raystilts.results.over_targets import over_targets

    answers = asked.answers(part)
    texts = [] if overall else [best_table(answer) for answer in with_constants(part, answers)]
    if overall or len(answers) > 1:
        texts.append(overall_table(over_targets(answers)))
    if asked.target is None and (lost := left_out(part, answers, asked.language)):
        texts.append(lost)
    return "\n".join(texts)


@app.command()
def matrix(
    results: ResultsFolder,
    value: Annotated[
        Value | None, typer.Option(help="What a cell holds; default gain, or score where the baseline has no run.")
    ] = None,
    language: Language = None,
    intermediate_fraction: AtFraction = None,
    plot: Annotated[Path | None, typer.Option(help="Write a heatmap here, such as matrix.png.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
    encoder: EncoderName = None,
) -> None:
    """The transfer matrix: an arm a row, a target a column. Of several encoders one below the other.

    Example: raystilts matrix ~/raystilts_results/quickstart --value gain --plot gains.png
    """
    from raystilts.analysis.presentation import check_plot
    from raystilts.report.matrix import gains_text, has_baseline, matrix_csv, matrix_text, plot_matrix, transfer_matrix
    from raystilts.report.text import left_out

    if plot is not None:
        check_plot(plot)
    loaded = open_results(results, encoder)
    parts = [loaded] if plot is not None or as_csv else loaded.by_encoder()
    answers = [part.answers(language=language, intermediate_fraction=intermediate_fraction) for part in parts]
    if plot is not None:
        shown = value or (Value.gain if has_baseline(answers[0]) else Value.score)
        plot_matrix(transfer_matrix(answers[0], shown.value), plot)
        print(plot, file=sys.stderr)
    if as_csv:  # of gains its columns are there in any case, for programs
        say(matrix_csv(transfer_matrix(answers[0], (value or Value.gain).value)), end="")
    elif plot is None:
        print_completeness(loaded)
        texts = [
            _heading(part, parts)
            + (gains_text(answered) if value is None else matrix_text(transfer_matrix(answered, value.value)))
            + left_out(part, answered, language)
            for part, answered in zip(parts, answers, strict=True)
        ]
        say("\n".join(texts), end="")


@app.command("next")
def next_command(
    results: ResultsFolder,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the study file here.")] = None,
    probability: Annotated[float, typer.Option(help="Wanted chance of settling each target.")] = 0.8,
    max_seeds: Annotated[int, typer.Option(help="The largest number of further seeds to think of.")] = 16,
    tolerance: Annotated[float, typer.Option(help="Points of loss that do not matter.")] = 0.0,
    encoder: EncoderName = None,
) -> None:
    """The cheapest further runs that would settle the open targets, as a study file.

    Exits with 0 where a file was written (or would be, with -o) or nothing is open, else with 1.

    Example: raystilts next ~/raystilts_results/quickstart -o next.yaml
    """
    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.absolute().parent}; make it first")
    from raystilts.analysis.next_runs import duration, need_sentence, next_runs, write_studies
    from raystilts.analysis.presentation import count, wrap

    loaded = open_results(results, encoder)
    found = next_runs(loaded, probability=probability, max_seeds=max_seeds, tolerance=tolerance / 100)
    print_completeness(loaded)
    lines = [f"settled: {', '.join(found.settled)}"] if found.settled else []
    lines += [f"open: {label}: {reason}" for label, reason in found.hopeless]
    lines += [f"open: {need_sentence(need)}" for need in found.needs]
    if found.grids:
        seconds, runs = sum(grid.seconds for grid in found.grids), sum(grid.runs for grid in found.grids)
        lines.append(f"together {count(runs, 'stage')}, {duration(seconds)} of a device by the recorded times")
    say("\n".join(line for text in lines for line in wrap(text)))
    if not found.grids:
        written = "" if output is None else f"; {output} was not written"
        if not found.hopeless:
            say(f"nothing to run: every target is settled{written}")
            return
        say("\n".join(wrap(f"no study file: no further seeds are worth their cost, for the reasons above{written}")))
        raise typer.Exit(1)
    if output is None:
        whose = "" if encoder is None else f"--encoder {shlex.quote(encoder)} "
        print(f"\nNext:\n  raystilts next {shlex.quote(results)} {whose}-o next.yaml")
        return
    paths = write_studies(found, output, loaded.folder.url)
    print("\nNext:")
    for path in paths:
        print(f"  raystilts run {shlex.quote(str(path))}")


@app.command()
def report(
    results: ResultsFolder,
    out: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Also write each chart as SVG and PDF into this folder (needs matplotlib).")
    ] = None,
    encoder: EncoderName = None,
) -> None:
    """Write one self-contained HTML page: answers, gains, curves, cost, provenance. Of several encoders, of one.

    Example: raystilts report ~/raystilts_results/quickstart -o report.html
    """
    _check_writable(out)
    if figures is not None and not figures.absolute().parent.is_dir():
        raise UserError(f"--figures {figures}: there is no folder {figures.absolute().parent}; make it first")
    from raystilts.report.html.gather import gather
    from raystilts.report.html.page import page

    loaded = open_results(results, encoder)
    study = loaded.study()
    data = None
    if study is not None and study.search is not None:
        if figures is not None:
            raise UserError("--figures: a search has no charts of its own; leave it out")
        from raystilts.report.html.search_page import search_page
        from raystilts.scheduling.trial_history import outcomes

        text = search_page(loaded.folder.url, study, outcomes(loaded, study))
    else:
        data = gather(loaded)
        text = page(data)
    _write(out, text)
    output().print(f"{out}: {len(text.encode()) / 1e6:.2f} MB", soft_wrap=True)
    if figures is not None and data is not None:
        from raystilts.report.figures import write_figures

        written = write_figures(data, figures)
        output().print(f"{figures}: {len(written)} figures", soft_wrap=True)


def _write(out: Path, text: str) -> None:
    from raystilts.filesystem import write_text

    try:
        write_text(out, text)
    except (StorageError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"--output {out}: cannot be written ({reason}); give another file") from None


def _check_writable(out: Path) -> None:
    """Says at once what would only be seen after the reading."""
    if out.is_dir():
        raise UserError(f"--output {out}: is a folder; give a file, such as {out / 'report.html'}")
    if not out.absolute().parent.is_dir():
        raise UserError(f"--output {out}: there is no folder {out.absolute().parent}; make it first, or give another")


@app.command()
def benchmark(
    results: ResultsFolder,
    suite: Annotated[str, typer.Option(help="xtreme, xtreme_r, or targets such as pawsx,xnli.")] = "xtreme",
    languages: Annotated[str, typer.Option(help='The one set of languages, such as "de,sw,zh".')] = "",
    intermediate_fraction: AtFraction = None,
    include_overlap: Annotated[
        bool, typer.Option("--include-overlap", help="Let arms be best that train on the target's own data.")
    ] = False,
    as_json: AsJson = False,
    encoder: EncoderName = None,
) -> None:
    """A benchmark's score without intermediate task, with each, and with the best per target.

    Example: raystilts benchmark ~/raystilts_results/phang2020 --suite xtreme --include-overlap
    """
    from raystilts.analysis.benchmark import benchmark as score_suite
    from raystilts.analysis.benchmark import suite_view
    from raystilts.tasks.suites import get_suite

    loaded = open_results(results, encoder)
    answer = score_suite(
        loaded,
        get_suite(suite),
        languages=languages.replace(",", " ").split(),
        intermediate_fraction=intermediate_fraction,
        include_overlap=include_overlap,
    )
    if as_json:
        print(json.dumps({"complete": answer.own.complete, **asdict(answer)}, indent=1))
    else:
        print_completeness(loaded)
        output().print(suite_view(answer))


@app.command()
def compact(
    results: ResultsFolder,
    grace: Annotated[float, typer.Option(help="Keep merged files this many seconds, for readers at work.")] = 0.0,
) -> None:
    """Merge the files of single runs into large ones, which every question reads faster.

    Runs do this themselves. It is safe at any time, also while a study runs. Afterwards DuckDB, polars and
    pandas read the scores that count from RESULTS/finals.parquet, and everything from RESULTS/compacted/.

    Example: raystilts compact ~/raystilts_results/quickstart
    """
    from raystilts.filesystem import open_folder
    from raystilts.results.compaction import clean_up
    from raystilts.results.compaction import compact as merge
    from raystilts.results.finals import write_finals
    from raystilts.results.items import merge_items
    from raystilts.results.results import Results

    folder = open_folder(results)
    if not folder.exists():
        raise UserError(f"{results}: no such results folder; give <storage_path>/<study name>")
    done = merge(folder)
    deleted = clean_up(folder, older_than=grace)
    merge_items(folder)
    why = write_finals(Results(folder))
    if why is not None:
        output().print(f"finals.parquet was not written: {why}")
    output().print(
        f"{done.files['runs']} runs with {done.rows['scores']} scores merged, {deleted} files deleted",
    )
