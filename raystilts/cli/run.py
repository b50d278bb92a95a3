"""Commands that take a study file: run and plan."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from raystilts.cli.common import AsJson, Assignments, Storage, StudyFile, app, output
from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.study.schema import Study


def _study(path: Path, assignments: list[str] | None, storage_path: str | None) -> Study:
    from raystilts.study.schema import Study

    extra = [] if storage_path is None else [f"storage_path={json.dumps(storage_path, ensure_ascii=False)}"]
    return Study.from_file(_find(path), (*(assignments or ()), *extra))


def _find(path: Path) -> Path:
    """A study file as given, or one that ships with the package."""
    if path.exists():
        return path
    shipped = Path(__file__).parents[1] / "search_spaces"
    shipped = shipped if shipped.is_dir() else Path(__file__).parents[2] / "search_spaces"
    for candidate in (shipped / path.name, shipped / f"{path.name}.yaml"):
        if candidate.is_file():
            return candidate
    return path


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
    out = output()
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
    out = output()
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
        output().print(plan_view(summary), highlight=False)
