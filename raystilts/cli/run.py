"""Commands that take a study file: run and plan.

What run, plan and best say of a study that is a hyperparameter search; and its export for Optuna.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.common import AsJson, Assignments, ResultsFolder, Storage, StudyFile, app, messages, output
from raystilts.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from raystilts.results.answers import Results
    from raystilts.scheduling.run_search import SearchOutcome
    from raystilts.study.schema import Study


def _study(path: Path, assignments: list[str] | None, storage_path: str | None) -> Study:
    from raystilts.planning.resolve import load_study

    extra = [] if storage_path is None else [f"storage_path={json.dumps(storage_path, ensure_ascii=False)}"]
    return load_study(_find(path), (*(assignments or ()), *extra))


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
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write events for TensorBoard too.")] = False,
    intermediates_only: Annotated[
        bool, typer.Option("--intermediates-only", help="Train no targets and keep all checkpoints, for predict.")
    ] = False,
    first: Annotated[
        Path | None, typer.Option(help="Output of predict --json: run its promising cells first; changes no outcome.")
    ] = None,
) -> None:
    """Run what is missing of a study, and show the gains.

    Example: raystilts run search_spaces/quickstart.yaml --storage-path ./results
    """
    loaded = _study(study, [*(assignments or ()), *(["tensorboard=true"] if tensorboard else [])], storage_path)
    if dry_run:
        _print_plan(loaded, as_json=False)
        return
    log = messages()
    if loaded.search is not None:
        from raystilts.scheduling.run_search import run_search

        with _interruptible(log):
            found = run_search(loaded, address=address, console=log)
        print_search_outcome(found, log)
        return
    from raystilts.scheduling.run import run as run_study

    _print_advice(loaded)
    with _interruptible(log):
        outcome = run_study(loaded, address=address, console=log, intermediates_only=intermediates_only, first=first)
    from raystilts.scheduling.progress import clock

    trained = f"{outcome.finished} stages finished" if outcome.finished or outcome.failed else "nothing to train"
    spared = f"; {outcome.stopped} stopped early" if outcome.stopped else ""
    spared += f"; {outcome.not_needed} not needed" if outcome.not_needed else ""
    log.print(f"{trained}, {outcome.already} were there already{spared}; {clock(outcome.seconds)}", highlight=False)
    _print_matrix(outcome.results)
    _print_next(outcome.results)
    if outcome.failed:
        log.print(f"{outcome.failed} stages failed, {outcome.not_run} were not run for that:", highlight=False)
        for error in outcome.errors[:10]:
            log.print(f"  {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)


@contextmanager
def _interruptible(log: Console) -> Iterator[None]:
    """Says how to go on after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        log.print("\nStopped. What has finished is kept; to go on, run the same command:", highlight=False)
        log.print(f"  {_command_line()}", highlight=False, soft_wrap=True)
        # Worker processes may still be unwinding: leave at once, with the exit code of an interrupt.
        sys.stderr.flush()
        os._exit(130)


def _command_line() -> str:
    import shlex

    return shlex.join(["raystilts", *sys.argv[1:]])


def _print_matrix(results: str) -> None:
    from raystilts.report.matrix import matrix_text, transfer_matrix
    from raystilts.report.text import above_chance, verdict
    from raystilts.results.answers import Results

    try:
        loaded = Results(results)
        answers = loaded.answers()
    except UserError:
        return
    out = output()
    print(matrix_text(transfer_matrix(answers, "gain")))
    for answer in answers:
        out.print(f"{answer.target}: {verdict(answer)}", highlight=False)
    learnt = above_chance(loaded)
    if learnt is not None and learnt.stages:
        share = learnt.above / learnt.stages
        counted = f"{learnt.above} of {learnt.stages} trained target stages ({share:.0%})"
        out.print(f"{counted} beat every constant answer on English dev.", highlight=False)


def _print_next(results: str) -> None:
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


def _print_advice(study: Study) -> None:
    """Says on standard error what the schedule loses where it asks for less than is safe."""
    from raystilts.planning.checks import advice

    for line in advice(study.schedule, len(study.seeds)):
        messages().print(f"note: {line}", highlight=False, markup=False, soft_wrap=True)


def _print_plan(study: Study, as_json: bool) -> None:
    if study.search is not None:
        print_search_plan(study, as_json=as_json)
        return
    from raystilts.planning.cost import estimate, results_folder
    from raystilts.planning.stages import plan as plan_study
    from raystilts.report.plan_text import plan_view, summarise
    from raystilts.results.ledger import Ledger
    from raystilts.scheduling.outstanding import forecast, outstanding

    planned = plan_study(study)
    _print_advice(study)
    results = results_folder(study)
    graph = outstanding(planned, results)
    missing, expected = graph.left(), forecast(planned, graph)
    cost = estimate(planned, missing, Ledger(results).rows(), expected.left(graph))
    spared = len(graph.stages) - len(missing)
    summary = summarise(planned, missing, cost, expected.of_grid(planned), spared)
    if as_json:
        print(json.dumps(summary.to_json(), indent=1))
    else:
        output().print(plan_view(summary), highlight=False)


def print_search(results: Results, study: Study, unit: str | None, *, as_json: bool) -> None:
    """The answer of a search: best values, importance, convergence."""
    from raystilts.report.text import search_json, search_table
    from raystilts.scheduling.trial_history import outcomes

    found = outcomes(results, study, unit)
    if as_json:
        print(json.dumps(search_json(found), indent=1))
        return
    out = output()
    for one in found:
        out.print(search_table(one), highlight=False)


def print_search_plan(study: Study, *, as_json: bool) -> None:
    """What a search would try."""
    from raystilts.scheduling.run_search import trials_left
    from raystilts.tuning.trials import settings, space_of, units

    left = trials_left(study)
    rows = [
        {"name": unit.name, "role": unit.role, "trials": settings(study).samples_of(unit.name), "left": left[unit],
         "space": {name: one.model_dump(exclude_none=True) for name, one in space_of(study, unit).items()}}
        for unit in units(study)
    ]  # fmt: skip
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    out = output()
    search = settings(study)
    kind = "together with the choice of the intermediate" if search.joint else "on its own"
    schedule = "no early stopping" if search.schedule == "full" else "single trials stopped early (asha)"
    out.print(f"{study.name}: a search ({search.sampler}); each task {kind}; {schedule}", highlight=False)
    for row in rows:
        names = ", ".join(row["space"])  # type: ignore[arg-type]
        out.print(
            f"  {row['name']} ({row['role']}): {row['trials']} trials, {row['left']} left; {names}", highlight=False
        )


def print_search_outcome(outcome: SearchOutcome, log: Console) -> None:
    """How a run of a search ended.

    Raises:
        typer.Exit: trials failed.
    """
    from raystilts.results.answers import Results
    from raystilts.scheduling.progress import clock

    log.print(
        f"{outcome.trials} trials, {outcome.already} were there already; {clock(outcome.seconds)}", highlight=False
    )
    results = Results(outcome.results)
    study = results.study()
    if study is not None:
        print_search(results, study, None, as_json=False)
    out = output()
    out.print("Next: a grid with these values: in its study file", highlight=False)
    out.print(f"  hyperparameters: {{from: {outcome.results}/hyperparameters.yaml}}", highlight=False, soft_wrap=True)
    if outcome.failed:
        log.print(f"{outcome.failed} trials failed:", highlight=False)
        for error in outcome.errors[:10]:
            log.print(f"  {error}", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)


@app.command("export-optuna")
def export_optuna(
    results: ResultsFolder,
    storage: Annotated[str, typer.Argument(help="An Optuna storage, such as sqlite:///search.db")],
) -> None:
    """Write a search's trials to an Optuna storage, for optuna-dashboard.

    Example: raystilts export-optuna ~/raystilts_results/tune_xtreme_small sqlite:///search.db
    """
    from raystilts.errors import UserError
    from raystilts.report.text import search_of
    from raystilts.results.answers import Results
    from raystilts.scheduling.trial_history import outcomes
    from raystilts.tuning.outcome import export
    from raystilts.tuning.trials import space_of

    loaded = Results(results)
    study = search_of(loaded)
    if study is None:
        raise UserError(f"{results}: not the results of a search; only these are Optuna trials")
    found = [(space_of(study, one.unit), one) for one in outcomes(loaded, study)]
    for name in export(storage, study.name, found):
        output().print(name, highlight=False)
