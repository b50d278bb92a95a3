"""Commands that take a study file: run and plan."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from raystilts.cli.common import AsJson, Assignments, Storage, StudyFile, app, messages, output, read_study, say
from raystilts.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from raystilts.study.schema import Study


@app.command()
def run(
    study: StudyFile,
    storage_path: Storage = None,
    address: Annotated[str | None, typer.Option(help='A running Ray cluster; "auto" for this machine\'s.')] = None,
    assignments: Assignments = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    report_to: Annotated[
        str | None, typer.Option(help="Experiment trackers, such as tensorboard or wandb,mlflow; as in the study file.")
    ] = None,
    intermediates_only: Annotated[
        bool, typer.Option("--intermediates-only", help="Train no targets and keep all checkpoints, for predict.")
    ] = False,
    first: Annotated[
        str | None,
        typer.Option(
            help="Promising cells first, by output of predict --json or an earlier results folder; same outcome."
        ),
    ] = None,
) -> None:
    """Run what is missing of a study, and show the gains.

    Example: raystilts run search_spaces/quickstart.yaml --storage-path ./results
    """
    # Before the libraries that take seconds to load.
    print(f"raystilts: reading {study}", file=sys.stderr, flush=True)
    trackers = [] if report_to is None else [f"report_to=[{report_to}]"]
    loaded = read_study(study, [*(assignments or ()), *trackers], storage_path)
    if dry_run:
        _print_plan(loaded, as_json=False)
        return
    log = messages()
    if loaded.search is not None:
        from raystilts.cli.search import print_search_outcome
        from raystilts.scheduling.run_search import run_search

        with _interruptible(log):
            found = run_search(loaded, address=address, console=log)
        print_search_outcome(found, log)
        return
    from raystilts.scheduling.run import run as run_study

    _print_advice(loaded)
    with _interruptible(log):
        outcome = run_study(loaded, address=address, console=log, intermediates_only=intermediates_only, first=first)
    from raystilts.scheduling.status import clock

    trained = f"{outcome.finished} stages finished" if outcome.finished or outcome.failed else "nothing to train"
    spared = f"; {outcome.stopped} stopped early" if outcome.stopped else ""
    spared += f"; {outcome.not_needed} not needed" if outcome.not_needed else ""
    log.print(f"{trained}, {outcome.already} were there already{spared}; {clock(outcome.seconds)}")
    _print_matrix(outcome.results)
    _print_next(outcome.results)
    if outcome.failed:
        log.print(f"{outcome.failed} stages failed, {outcome.not_run} were not run for that:")
        for error in outcome.errors[:10]:
            log.print(f"  {error}", soft_wrap=True)
        raise typer.Exit(1)


@contextmanager
def _interruptible(log: Console) -> Iterator[None]:
    """Says how to go on after Ctrl-C, another signal, or the end of the cluster."""
    from raystilts.errors import ClusterError, Stopped
    from raystilts.scheduling.stopping import StopRequest, stoppable

    request: StopRequest | None = None
    try:
        with stoppable() as request:
            yield
        return
    except KeyboardInterrupt as stop:
        # Ray's own calls, in the middle of which a signal comes, raise one that does not say which it was.
        noted = None if request is None else request.signum
        number = stop.signum if isinstance(stop, Stopped) else noted or signal.SIGINT
        why, code = f"Stopped ({signal.Signals(number).name})", 128 + number
    except ClusterError as error:
        why, code = f"Stopped: {error}", 1
    with suppress(OSError):  # the terminal may have gone
        words = f"\n{why}. What has finished is kept; to go on, run the same command:"
        log.print(words, soft_wrap=True)
        log.print(f"  {shlex.join(['raystilts', *sys.argv[1:]])}", soft_wrap=True)
        sys.stderr.flush()
    # Worker processes may still be unwinding: leave at once.
    os._exit(code)


def _print_matrix(results: str) -> None:
    from raystilts.analysis.above_chance import above_chance, with_constants
    from raystilts.report.matrix import gains_text
    from raystilts.report.text import verdict
    from raystilts.results.finals import write_finals
    from raystilts.results.results import Results

    try:
        loaded = Results(results)
        write_finals(loaded)
        answered = [(part, part.answers()) for part in loaded.by_encoder()]
    except UserError:
        return
    out = output()
    for part, answers in answered:
        if len(answered) > 1:
            say(f"== {part.encoder} ==\n")
        say(gains_text(answers))
        for answer in with_constants(part, answers):
            out.print(f"{answer.label}: {verdict(answer)}")
        if len(answered) > 1:
            say("")
    learnt = above_chance(loaded)
    if learnt is not None and learnt.stages:
        share = learnt.above / learnt.stages
        counted = f"{learnt.above} of {learnt.stages} trained target stages ({share:.0%})"
        out.print(f"{counted} are above chance: better than every constant answer on English dev.")


def _print_next(results: str) -> None:
    out = output()
    out.print("\nNext:")
    for line in (
        f"raystilts best {results}",
        f"raystilts best {results} --language de --json",
        f"raystilts next {results}",
        "raystilts plan YOUR_STUDY.yaml",
    ):
        out.print(f"  {line}", soft_wrap=True)


@app.command()
def plan(
    study: StudyFile,
    storage_path: Storage = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Try one stage of each kind, as run does before the first stage.")
    ] = False,
) -> None:
    """Say what a study would train, what that costs, and what is there already; trains nothing.

    Example: raystilts plan search_spaces/phang2020.yaml
    """
    loaded = read_study(study, assignments, storage_path)
    _print_plan(loaded, as_json)
    if rehearse and loaded.search is None:
        _rehearse(loaded)


def _rehearse(study: Study) -> None:
    """Tries one stage of each kind that the study has still to run."""
    from raystilts.planning.stages import plan_stages
    from raystilts.scheduling.announce import Steps
    from raystilts.scheduling.driver import checked
    from raystilts.scheduling.outstanding import outstanding
    from raystilts.scheduling.rehearse import rehearse

    log = messages()
    ready = checked(study, None, Steps(log))
    planned = plan_stages(ready.resolved, ready.encoders)
    tried = rehearse(planned, outstanding(planned, ready.results).left().keys(), log, again=True)
    log.print(f"rehearsed: {tried} kinds of stages")


def _print_advice(study: Study) -> None:
    """Says on standard error what the schedule loses where it asks for less than is safe."""
    from raystilts.planning.schedule_advice import advice

    for line in advice(study.schedule, len(study.seeds)):
        messages().print(f"note: {line}", soft_wrap=True)


def _print_plan(study: Study, as_json: bool) -> None:
    from raystilts.tracking.check import check_installed

    check_installed(study)
    if study.search is not None:
        from raystilts.cli.search import print_search_plan

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
        output().print(plan_view(summary))
