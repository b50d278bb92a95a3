"""The commands `raystilts analyze ...`, one a research question, and `raystilts predict`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raystilts.cli.common import (
    AsJson,
    Assignments,
    Commands,
    EncoderName,
    ResultsFolder,
    Storage,
    StudyFile,
    app,
    find_study,
    open_results,
    print_completeness,
    read_study,
    say,
)
from raystilts.cli.results import AtFraction, Language, Target
from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.analysis.language_distances import Distances
    from raystilts.analysis.presentation import Row
    from raystilts.results.answers import TargetAnswer
    from raystilts.results.results import Results
    from raystilts.results.task_facts import KnownTasks
    from raystilts.study.schema import Study

analyze_app = Commands(
    no_args_is_help=True,
    rich_markup_mode=None,
)


app.add_typer(analyze_app, name="analyze")

#: The encoder of `raystilts analyze --encoder NAME ...`, for the question that follows it.
_ENCODER: ContextVar[str | None] = ContextVar("encoder", default=None)


@analyze_app.callback()
def analyze(encoder: EncoderName = None) -> None:
    """The research questions: sizes of the data, gains by language, linguistic similarity, domain shift."""
    _ENCODER.set(encoder)


CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write the table behind the answer here.")]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Write a figure here, such as sizes.png; its data goes beside it as CSV.")
]


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Where an answer goes: to standard output as text or JSON, its table and its figure to files."""

    as_json: bool
    csv: Path | None
    plot: Path | None = None

    def check(self, *given: Path | None) -> None:
        """Finds out before the results are read whether the files asked for can be written.

        Args:
            given: Files that are read, and must not be overwritten.

        Raises:
            UserError: They cannot.
        """
        csv, plot = self.csv, self.plot
        if plot is not None:
            from raystilts.analysis.presentation import check_plot

            check_plot(plot)
        if csv is not None and not csv.absolute().parent.is_dir():
            raise UserError(f"--csv {csv}: there is no folder {csv.absolute().parent}; make it first")
        for path in filter(None, (csv, plot and plot.with_suffix(".csv"))):
            if path.resolve() in [one.resolve() for one in given if one is not None]:
                raise UserError(
                    f"the table {path} would overwrite the one that was given; give the output another name"
                )

    def give(
        self,
        text: Callable[[], str],
        rows: Callable[[], list[Row]],
        draw: Callable[[Path], None] | None = None,
        answer: Callable[[], Any] | None = None,
        *,
        results: Results | None = None,
        lost: Sequence[TargetAnswer] | None = None,
    ) -> None:
        """Writes what was asked for.

        Args:
            rows: The table behind the answer.
            draw: Makes the figure.
            answer: What JSON holds; the table unless given.
            results: What it is about: the text begins with how much of the study is there.
            lost: The targets that are not learnt, where they are known already.
        """
        from raystilts.analysis.presentation import to_json, write_csv

        if self.csv is not None:
            write_csv(rows(), self.csv)
        if self.plot is not None and draw is not None:
            draw(self.plot)
            print(self.plot, file=sys.stderr)
        shown = to_json((answer or rows)()) if self.as_json else text()
        if results is not None and not self.as_json:
            print_completeness(results)
            _print_not_learnt(results, lost)
        say(shown, end="\n" if self.as_json else "")


def _print_not_learnt(results: Results, lost: Sequence[TargetAnswer] | None) -> None:
    """Names targets whose numbers say nothing."""
    from raystilts.analysis.presentation import wrap
    from raystilts.analysis.reading import not_learnt
    from raystilts.report.matrix import NOT_LEARNT

    names = [answer.label for answer in (not_learnt(results) if lost is None else lost)]
    if names:
        say("\n".join(wrap(f"{NOT_LEARNT}: {', '.join(names)}; what follows says nothing of them")))


def _opened(folder: str) -> tuple[Results, Study | None, KnownTasks]:
    """The results, their study, and what is known of their tasks."""
    loaded = open_results(folder, _ENCODER.get())
    study = loaded.study()
    return loaded, study, loaded.tasks()


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
    outputs = _Outputs(as_json, csv, plot)
    outputs.check()
    from raystilts.analysis.domain_shift import answer, answer_rows, answer_text, plot_shifts

    study, results = _study_and_results(place)
    found = answer(study, results, texts, permutations)
    rows = answer_rows(found)
    draw = partial(plot_shifts, found)
    outputs.give(lambda: answer_text(found), lambda: rows["shifts"], draw, lambda: rows, results=results)


def _study_and_results(place: str) -> tuple[Study, Results | None]:
    """The study that is asked about, and its results where there are any."""
    from raystilts.filesystem import open_folder
    from raystilts.planning.cost import results_folder
    from raystilts.results.results import Results
    from raystilts.study.arms import Arms
    from raystilts.tasks.facts import describe_task

    path = find_study(Path(place))
    if path.is_file():
        study = read_study(path)
        folder = open_folder(results_folder(study))
        return study, Results(folder) if folder.exists() else None
    results = open_results(place, _ENCODER.get())
    found = results.study()
    if found is None:
        raise UserError(f"{place}: holds no study.json; give the study file instead, which names data and encoder")
    arms = Arms(found.intermediates)
    trained = (name for arm in found.intermediates for name in arms.tasks_of(arm))
    names = {*trained, *(target.task for target in found.targets)}
    if found.task_files and any(describe_task(name) is None for name in names):
        files = ", ".join(found.task_files)
        raise UserError(f"{place}: its tasks come from {files}, which results do not run; give the study file instead")
    return found, results


@analyze_app.command()
def gains(
    results: ResultsFolder,
    target: Target = None,
    intermediate_fraction: AtFraction = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than the main one, such as f1 or em.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every language, also of targets with many.")] = False,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gains over none in each language, with intervals that hold for all arms and languages of a target together.

    Example: raystilts analyze gains ~/raystilts_results/afriqa --target afriqa --metric f1
    """
    outputs = _Outputs(as_json, csv, plot)
    outputs.check()
    from raystilts.analysis.gains import gain_rows, gains_text, language_gains, plot_gains
    from raystilts.analysis.reading import read_strata

    loaded, study, tasks = _opened(results)
    fraction = intermediate_fraction or (study.compared_fraction if study is not None else None)
    found = [language_gains(one, tasks.overlaps, fraction) for one in read_strata(loaded, target, metric)]
    families = [family for family in found if family]
    if not families:
        raise UserError("no gains: the results hold no target that both the baseline and another arm were scored on")
    outputs.give(
        lambda: gains_text(families, every, loaded.baseline), lambda: gain_rows(families),
        partial(plot_gains, families, loaded.baseline), results=loaded,
    )  # fmt: skip


@analyze_app.command("language-similarity")
def language_similarity(
    results: ResultsFolder,
    target: Target = None,
    intermediate: Annotated[str | None, typer.Option(help="Only the gains of this arm.")] = None,
    intermediate_fraction: AtFraction = None,
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
    outputs = _Outputs(as_json, csv, plot)
    outputs.check(distances, sizes)
    from raystilts.analysis.language_distances import read_columns, uriel_distances
    from raystilts.analysis.language_similarity import (
        BASELINE,
        gather_gains,
        language_rows,
        plot_similarity,
        relate,
        similarity_json,
        similarity_text,
    )
    from raystilts.analysis.reading import learnt_strata, not_learnt, read_strata

    control = read_columns(sizes, "--sizes") if sizes is not None else {}
    if len(control) > 1:
        raise UserError(f"--sizes {sizes}: one column of numbers is held constant, but it has {', '.join(control)}")
    given = read_columns(distances, "--distances") if distances is not None else None
    loaded, study, tasks = _opened(results)
    lost = not_learnt(loaded)
    strata = learnt_strata(read_strata(loaded, target), lost)
    gained = gather_gains(strata, tasks.overlaps, intermediate_fraction, intermediate)
    uriel = uriel_distances(gained.gains) if given is None else None
    predictors = given if uriel is None else uriel.values
    assert predictors is not None
    if text is not None:
        predictors = predictors | _subwords(study, text, list(gained.gains))
    found = relate(gained, predictors, next(iter(control.values()), None))
    if uriel is not None:
        found = replace(found, notes=(*found.notes, *uriel.notes()), shared=uriel.shared)
    shown = predictors | ({BASELINE: gained.level} if gained.level is not None else {})
    outputs.give(
        lambda: similarity_text(found), lambda: language_rows(found, shown), partial(plot_similarity, found, shown),
        lambda: similarity_json(found), results=loaded, lost=lost,
    )  # fmt: skip


def _subwords(study: Study | None, text: Path, languages: list[str]) -> Distances:
    from raystilts.analysis.language_distances import load_tokenizer, subword_distances

    if study is None:
        raise UserError("--text: the results have no study.json, so the encoder's tokenizer is not known; leave it out")
    return {"sub-words": subword_distances(load_tokenizer(study.encoder), text, languages)}


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
    steps: Annotated[
        bool | None,
        typer.Option(
            "--steps/--fractions",
            help="Sizes along each training (intermediate_steps), or shares of its data; default what the study has.",
        ),
    ] = None,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gain against the size of the intermediate data: slopes, a power law where the data identify one.

    --json and --csv hold every language beside the mean.

    Example: raystilts analyze intermediate-size ~/raystilts_results/intermediate_size --plot sizes.png
    """
    outputs = _Outputs(as_json, csv, plot)
    outputs.check()
    if not effect > 0:
        raise UserError(f"--effect {effect:g}: a difference in points above zero, such as 1")
    from raystilts.analysis.along_training import along_training, asks_for_steps
    from raystilts.analysis.intermediate_size import plot_sizes, size_curves, size_rows, sizes_text
    from raystilts.analysis.reading import check_language, read_strata, sizes_in_examples
    from raystilts.analysis.slopes import compare_slopes

    loaded, study, tasks = _opened(results)
    size_of, unit = sizes_in_examples(study, tasks)
    strata = read_strata(loaded, target, metric)
    if asks_for_steps(study, steps) and study is not None:
        strata = along_training(strata, study)
    check_language(language, strata)
    shown = size_curves(strata, [language], size_of, tasks.overlaps)

    @cache
    def rows() -> list[Row]:
        every = dict.fromkeys([None, *sorted({name for stratum in strata for name in stratum.languages})])
        return size_rows(size_curves(strata, [language] if language else every, size_of, tasks.overlaps), unit)

    def shown_text() -> str:
        known = {curve.target for curve in shown}
        groups = [name for name in against.split(",") if name in known or against != "pawsx"]
        compared = groups and len(known) > 1
        comparison = compare_slopes(strata, groups, size_of, tasks.overlaps, effect / 100) if compared else None
        return sizes_text(shown, comparison, unit, loaded.baseline)

    outputs.give(shown_text, rows, partial(plot_sizes, shown, unit, loaded.baseline), results=loaded)


@analyze_app.command("target-size")
def target_size(
    results: ResultsFolder,
    target: Target = None,
    language: Language = None,
    metric: Metric = None,
    intermediate_fraction: AtFraction = None,
    as_json: AsJson = False,
    csv: CsvFile = None,
    plot: PlotFile = None,
) -> None:
    """Gain against the size of the target data: where it ends, and how many target examples it is worth.

    Arms that train on the target's own training data are left out.

    Example: raystilts analyze target-size ~/raystilts_results/target_size --plot worth.png
    """
    outputs = _Outputs(as_json, csv, plot)
    outputs.check()
    from raystilts.analysis.reading import check_language, read_strata, sizes_in_examples
    from raystilts.analysis.target_size import plot_target_size, target_curves, target_rows, target_size_text

    loaded, study, tasks = _opened(results)
    size_of, unit = sizes_in_examples(study, tasks)
    strata = read_strata(loaded, target, metric)
    check_language(language, strata)
    curves = target_curves(strata, language, size_of, tasks.overlaps, intermediate_fraction)
    draw = partial(plot_target_size, curves, unit, loaded.baseline)
    outputs.give(lambda: target_size_text(curves, unit), lambda: target_rows(curves, unit), draw, results=loaded)


@app.command()
def predict(
    study: StudyFile,
    storage_path: Storage = None,
    assignments: Assignments = None,
    samples: Annotated[int, typer.Option(help="Training examples of each task that are read.", min=32)] = 500,
    first: Annotated[
        list[str] | None,
        typer.Option(help="A results folder of an earlier study, any encoder: rank by its scores; may be repeated."),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Rank by the similarity of the tasks' texts.")] = False,
    as_json: AsJson = False,
    csv: CsvFile = None,
) -> None:
    """Rank intermediates for each target before targets are trained.

    By LogME and H-score, from the intermediates' checkpoints; with --first by earlier studies, with --text by texts.

    Example: raystilts predict search_spaces/domain_shift_small.yaml
    """
    outputs = _Outputs(as_json, csv)
    outputs.check()
    if first or text:
        if first and text:
            raise UserError("--first and --text are two rankings: ask for one")
        _known_elsewhere(read_study(study, assignments, storage_path), first, samples, outputs)
        return
    from raystilts.analysis.transferability import predict_study, prediction_rows, predictions_text, scored_against

    loaded = read_study(study, assignments, storage_path)
    found = predict_study(loaded, samples)
    outcome, rows = scored_against(loaded, found), prediction_rows(found)
    outputs.give(
        lambda: predictions_text(found, outcome), lambda: rows,
        answer=lambda: {"study": loaded.name, "predictions": rows, "against_the_grid": outcome},
    )  # fmt: skip


def _known_elsewhere(study: Study, first: list[str] | None, samples: int, outputs: _Outputs) -> None:
    from raystilts.analysis.known_elsewhere import earlier_ranking, ranked_rows, ranked_text, text_ranking
    from raystilts.analysis.transferability import METHODS, outcome_lines, score_rankings

    method = "earlier" if first else "text"
    found = earlier_ranking(study, first) if first else text_ranking(study, samples)
    outcome = score_rankings(study, {method: {(one.target, one.intermediate): one.score for one in found}})
    rows = ranked_rows(found)
    outputs.give(
        lambda: ranked_text(found, METHODS[method], outcome_lines(outcome)), lambda: rows,
        answer=lambda: {"study": study.name, "predictions": rows, "against_the_grid": outcome},
    )  # fmt: skip
