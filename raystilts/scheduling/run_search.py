"""Running a hyperparameter search: the trials that its ledger lacks, and the file of chosen values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raystilts.errors import StorageError
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.stages import Kind, Plan, plan
from raystilts.results.compaction import compacting
from raystilts.results.ledger import Ledger, next_attempt, write_attempt
from raystilts.scheduling.lock import HeldLock, driver_lock
from raystilts.scheduling.preflight import check_storage
from raystilts.scheduling.record import WORKER_RESTARTS, fit, ray_cluster, record_stopped, set_ray_environment
from raystilts.scheduling.run import checked, write_study
from raystilts.study.schema import Study
from raystilts.training.checkpoints import Checkpoints, open_checkpoints
from raystilts.tuning.trials import Unit, settings, trial_study, units

if TYPE_CHECKING:
    from raystilts.scheduling.trial_board import TrialBoard, Work


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What a run of a search did.

    Attributes:
        results: The results folder.
        already: Trials that had ended before.
        trials: Trials in all, now.
        failed: Trials that failed now, with one line each in `errors`.
    """

    results: str
    already: int
    trials: int
    failed: int
    errors: tuple[str, ...]
    seconds: float


def run_search(study: Study, *, address: str | None = None, console: Console | None = None) -> SearchOutcome:
    """Runs what is missing of a search. A killed one goes on with what Optuna already knows, from the ledger.

    Args:
        address: A running Ray cluster ("auto" for this machine's); None starts Ray here.
        console: Where progress goes; default standard error.

    Raises:
        UserError: something in the study cannot be used; nothing was trained.
        StorageError: the results folder is in use, full, or cannot be written.
    """
    set_ray_environment()
    started = time.monotonic()
    console = console or Console(stderr=True)
    study, info = checked(study)
    results = results_folder(study)
    check_storage(results, None)
    planned = Plan(study, info, (), {}, (), info.verified)
    with driver_lock(results, partial(console.print, highlight=False, soft_wrap=True)) as held:
        write_study(results, study)
        checkpoints = open_checkpoints(checkpoints_folder(study))
        checkpoints.clean_up()
        board = restored_board(study, results, checkpoints)
        before = board.counts["ended"]
        errors = () if board.ended else _fit(planned, board, results, checkpoints, address, console, held)
        stopped = {work.stage.key: work.until for work in board.stopped()}
        record_stopped(stopped, "asha", Ledger(results), results, checkpoints)
        _write_chosen(study, results)
    return SearchOutcome(results, before, board.counts["asked"], len(board.failed), errors, time.monotonic() - started)


def restored_board(study: Study, results: str, checkpoints: Checkpoints) -> TrialBoard:
    """The board of a search where its ledger stands."""
    from raystilts.scheduling.trial_board import TrialBoard
    from raystilts.scheduling.trial_history import device_hours, trial_reports

    rows = Ledger(results).rows()
    parents = {
        row.stage
        for row in rows
        if row.kind == "intermediate" and row.status == "finished" and checkpoints.has(row.train_key)
    }
    history = trial_reports(study, results) if rows else {}
    return TrialBoard(study, units(study), history, frozenset(parents), device_hours(rows))


def trials_left(study: Study) -> dict[Unit, int]:
    """Trials of each unit that the ledger lacks."""
    from raystilts.filesystem import open_folder
    from raystilts.scheduling.trial_board import latest
    from raystilts.scheduling.trial_history import trial_reports

    results = results_folder(study)
    known = trial_reports(study, results) if open_folder(results).exists() else {}
    asked = {unit: settings(study).samples_of(unit.name) for unit in units(study)}
    return {unit: max(0, count - len(latest(known.get(unit, [])))) for unit, count in asked.items()}


def _fit(
    planned: Plan,
    board: TrialBoard,
    results: str,
    checkpoints: Checkpoints,
    address: str | None,
    console: Console,
    held: HeldLock,
) -> tuple[str, ...]:
    with compacting(results), ray_cluster(address):
        from ray import tune

        from raystilts.scheduling.device_share import prepared_with_share
        from raystilts.scheduling.progress import TrialTally, TrialView
        from raystilts.scheduling.searchers import TrialSearch, TrialTrainable
        from raystilts.scheduling.trainable import Assignment

        study = planned.study
        kinds: list[Kind] = list(dict.fromkeys(unit.role for unit in units(study)))
        kinds = ["intermediate", "target"] if settings(study).joint else kinds
        grid = plan(study).stages.values() if study.resources.auto else ()
        stages = [stage for stage in grid if stage.kind in kinds]
        planned, expected, cluster = prepared_with_share(planned, stages, results, kinds, address, console)
        resources = planned.study.resources
        slots = cluster.slots(resources, kinds)
        attempts = {row.stage: row.attempt for row in Ledger(results).rows()}
        assignment = Assignment(planned, results, checkpoints_folder(study), attempts, expected)
        tally = TrialTally(board)
        with TrialView(tally, results, console) as view:

            def on_end(work: Work, result: Mapping[str, Any]) -> None:
                view.ended(work, dict(result))
                if work.stage.kind == "intermediate" and not work.is_parent and result["status"] == "finished":
                    checkpoints.remove(work.stage.train_key)  # a search looks at the score, not at the weights

            search = TrialSearch(board, on_end)
            held.when_lost = search.halt
            trainable = tune.with_parameters(TrialTrainable, assignment=assignment)
            fit(search, trainable, resources.of, slots, [view], cluster=cluster)
    _record_lost(planned, search.lost, results)
    if search.halted is not None:
        raise StorageError(search.halted)
    return tuple(tally.errors)


def _record_lost(planned: Plan, lost: list[Work], results: str) -> None:
    """Rows for trials whose workers died: nobody else could write them."""
    from datetime import UTC, datetime

    from raystilts.scheduling.record import Attempt

    error = f"the worker died {WORKER_RESTARTS + 1} times (killed, or out of memory)"
    for work in lost:
        study = trial_study(planned.study, work.unit, work.values)
        number = next_attempt(results, work.stage.key)
        attempt = Attempt(work.stage, study, planned.encoder, number, datetime.now(UTC), 0.0)
        write_attempt(results, attempt.failed("worker_died", error), [])


def _write_chosen(study: Study, results: str) -> None:
    """The file of chosen values beside the tables."""
    from raystilts.results.results import Results
    from raystilts.scheduling.trial_history import outcomes
    from raystilts.tuning.outcome import chosen_text

    loaded = Results(results)
    text = chosen_text(study, outcomes(loaded, study))
    loaded.folder.write("hyperparameters.yaml", text.encode(), overwrite=True)
