"""The command line: thin; everything it does is a function of the Python API."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from raystilts.errors import StorageError, UserError

if TYPE_CHECKING:
    from raystilts.study.schema import Study

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Which intermediate task helps which target, in which language, with what certainty.",
)
tasks_app = typer.Typer(no_args_is_help=True, help="The tasks that studies can name.")
app.add_typer(tasks_app, name="tasks")

StudyFile = Annotated[Path, typer.Argument(help="A study file (YAML), or the name of one in search_spaces/.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="key.path=value on top of the study file; may be repeated.")
]
Storage = Annotated[str | None, typer.Option(help="Folder of the results; they go into STORAGE_PATH/<study name>.")]
ResultsFolder = Annotated[str, typer.Argument(help="A results folder: <storage_path>/<study name>.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


def _study(path: Path, assignments: list[str] | None, storage_path: str | None) -> Study:
    from raystilts.study.schema import Study

    extra = [] if storage_path is None else [f"storage_path={json.dumps(storage_path, ensure_ascii=False)}"]
    return Study.from_file(_find(path), (*(assignments or ()), *extra))


def _find(path: Path) -> Path:
    """A study file as given, or one that ships with the package."""
    if path.exists():
        return path
    shipped = Path(__file__).parent / "search_spaces"
    shipped = shipped if shipped.is_dir() else Path(__file__).parent.parent / "search_spaces"
    for candidate in (shipped / path.name, shipped / f"{path.name}.yaml"):
        if candidate.is_file():
            return candidate
    return path


def _width() -> int | None:
    """Full lines where nobody looks at them."""
    return None if sys.stdout.isatty() else 100


@app.command()
def run(
    study: StudyFile,
    storage_path: Storage = None,
    address: Annotated[str | None, typer.Option(help='A running Ray cluster; "auto" for this machine\'s.')] = None,
    assignments: Assignments = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
) -> None:
    """Run what is missing of a study, and show the gains.

    Example: raystilts run search_spaces/quickstart.yaml --storage-path ./results
    """
    loaded = _study(study, assignments, storage_path)
    if dry_run:
        _print_plan(loaded, as_json=False)
        return
    from raystilts.scheduling.progress import clock
    from raystilts.scheduling.run import results_folder
    from raystilts.scheduling.run import run as run_study

    log = Console(stderr=True)
    try:
        outcome = run_study(loaded, address=address, console=log)
    except KeyboardInterrupt:
        log.print("\nStopped. What has finished is kept; to go on, run the same command:", highlight=False)
        log.print(f"  {_command_line()}", highlight=False, soft_wrap=True)
        # Worker processes may still be unwinding: leave at once, with the exit code of an interrupt.
        sys.stderr.flush()
        os._exit(130)
    trained = f"{outcome.finished} stages finished" if outcome.finished or outcome.failed else "nothing to train"
    log.print(f"{trained}, {outcome.already} were there already; {clock(outcome.seconds)}", highlight=False)
    _print_matrix(str(outcome.results))
    _print_next(results_folder(loaded))
    if outcome.failed:
        log.print(f"{outcome.failed} stages failed, {outcome.not_run} were not run for that:", highlight=False)
        for error in outcome.errors[:10]:
            log.print(f"  {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _command_line() -> str:
    import shlex

    return shlex.join(["raystilts", *sys.argv[1:]])


def _print_matrix(results: str) -> None:
    from raystilts.report.answers import Results
    from raystilts.report.quality import above_chance
    from raystilts.report.tables import gain_matrix, verdict

    try:
        loaded = Results(results)
        answers = loaded.answers()
    except UserError:
        return
    out = Console(width=_width())
    out.print(gain_matrix(answers))
    out.print("* the interval excludes zero; (...) the arm trains on the target's own training data\n", highlight=False)
    for answer in answers:
        out.print(f"{answer.target}: {verdict(answer)}", highlight=False)
    learnt = above_chance(loaded)
    if learnt is not None and learnt.stages:
        share = learnt.above / learnt.stages
        counted = f"{learnt.above} of {learnt.stages} trained target stages ({share:.0%})"
        out.print(f"{counted} beat every constant answer on English dev.", highlight=False)


def _print_next(results: Path) -> None:
    out = Console(width=_width())
    out.print("\nNext:", highlight=False)
    for line in (
        f"raystilts best {results}",
        f"raystilts best {results} --language de --json",
        "raystilts run YOUR_STUDY.yaml --dry-run",
    ):
        out.print(f"  {line}", highlight=False, soft_wrap=True)


@app.command()
def plan(
    study: StudyFile, storage_path: Storage = None, assignments: Assignments = None, as_json: AsJson = False
) -> None:
    """Say what a study would train, what that costs, and what is there already; trains nothing.

    Example: raystilts plan search_spaces/phang2020.yaml
    """
    _print_plan(_study(study, assignments, storage_path), as_json)


def _print_plan(study: Study, as_json: bool) -> None:
    from raystilts.report.planning import plan_view, summarise
    from raystilts.results.ledger import Ledger
    from raystilts.scheduling.run import missing_stages, results_folder
    from raystilts.study.cost import estimate
    from raystilts.study.plan import plan as plan_study
    from raystilts.training.checkpoint import Checkpoints

    planned = plan_study(study)
    results = results_folder(study)
    ledger = Ledger(results)
    missing = missing_stages(planned, ledger, Checkpoints(results.parent / "checkpoints"))
    summary = summarise(planned, missing, estimate(planned, missing, ledger.rows()))
    if as_json:
        print(json.dumps(summary.to_json(), indent=1))
    else:
        Console(width=_width()).print(plan_view(summary), highlight=False)


@app.command()
def best(
    results: ResultsFolder,
    target: Annotated[str | None, typer.Option(help="Only this target.")] = None,
    language: Annotated[str | None, typer.Option(help="One language instead of the mean.")] = None,
    intermediate_fraction: Annotated[float | None, typer.Option(help="The fraction at which arms compete.")] = None,
    include_overlap: Annotated[
        bool, typer.Option("--include-overlap", help="Let arms compete that train on the target's own data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The best intermediate per target, how sure that is, and how much it gains over none.

    Example: raystilts best ~/raystilts_results/quickstart --target cldr_dates
    """
    from raystilts.report.answers import Results
    from raystilts.report.tables import best_table

    answers = Results(results).answers(target, language, intermediate_fraction, include_overlap=include_overlap)
    if as_json:
        print(json.dumps([asdict(arm) for answer in answers for arm in answer.arms], indent=1))
        return
    out = Console(width=_width())
    for answer in answers:
        out.print(best_table(answer), highlight=False)


@tasks_app.command("list")
def tasks_list(as_json: AsJson = False) -> None:
    """All tasks, with their type, score and languages."""
    from rich.table import Table

    from raystilts.tasks.registry import all_tasks

    if as_json:
        print(json.dumps([{"name": t.name, "type": t.type.kind, "main_score": t.main_score,
                           "languages": t.languages} for t in all_tasks().values()], indent=1))  # fmt: skip
        return
    table = Table("task", "type", "score", "languages", "trains", box=None, pad_edge=False)
    for task in sorted(all_tasks().values(), key=lambda t: t.name):
        trains = "yes" if task.train is not None else "no"
        table.add_row(task.name, task.type.kind, task.main_score, str(len(task.languages)), trains)
    Console(width=_width()).print(table, highlight=False)


@tasks_app.command("show")
def tasks_show(name: str) -> None:
    """One task: its data, languages, licence, citation, and what its score was checked against."""
    from raystilts.tasks.registry import get_task

    task = get_task(name)
    out = Console(width=_width())
    for key, value in {
        "task": task.name, "description": task.description, "type": task.type.kind, "score": task.main_score,
        "languages": " ".join(task.languages), "dev in": " ".join(task.dev_languages) or "none",
        "licence": task.licence, "citation": task.citation, "url": task.url, "scores": task.scores_compared,
    }.items():  # fmt: skip
        out.print(f"{key:12} {value}", highlight=False, markup=False)


def main() -> None:
    """Runs the command line; a user's mistake is one or two lines and exit code 2."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        print(f"raystilts: {error}", file=sys.stderr)
        sys.exit(2)
    except StorageError as error:
        print(f"raystilts: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
