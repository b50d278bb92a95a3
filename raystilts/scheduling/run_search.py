"""Running a hyperparameter search: the trials that its ledger lacks, and the file of chosen values."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raystilts.filesystem import open_folder
from raystilts.planning.cost import results_folder
from raystilts.planning.encoders import EncoderInfo
from raystilts.planning.stage import Kind
from raystilts.planning.stages import Plan, plan
from raystilts.results.ledger import Ledger, next_attempt, write_attempt
from raystilts.results.results import Results
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.claims import Claims
from raystilts.scheduling.cluster import set_ray_environment
from raystilts.scheduling.driver import Driver, Job, checked, driving
from raystilts.scheduling.record import Attempt, lost, record_stopped
from raystilts.study.schema import Study
from raystilts.training.checkpoints import Checkpoints
from raystilts.tuning.outcome import chosen_text
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
    steps = Steps(console)
    ready = checked(study, address, steps)
    study, [info] = ready.resolved.study, ready.encoders
    with driving(ready, None, address, console, steps) as driver:
        board = restored_board(study, driver.results, driver.checkpoints)
        before = board.counts["ended"]
        errors = [] if board.ended else _train(study, info, board, driver)
        stopped = {work.stage.key: work.until for work in board.stopped()}
        record_stopped(stopped, "asha", Ledger(driver.results), driver.results, driver.checkpoints)
        _write_chosen(study, driver.results)
    seconds = time.monotonic() - started
    return SearchOutcome(driver.results, before, board.counts["asked"], len(board.failed), tuple(errors), seconds)


def _train(study: Study, info: EncoderInfo, board: TrialBoard, driver: Driver) -> list[str]:
    """Trains the trials that are left; returns a line for each that failed."""
    from raystilts.scheduling.progress import SearchProgress
    from raystilts.scheduling.searchers import TrialSearch
    from raystilts.scheduling.tally import SearchTally
    from raystilts.scheduling.trainable import TrialTrainable

    tally = SearchTally(board)
    view = SearchProgress(tally, driver.results, driver.console)

    claims = Claims(driver.results, driver.checkpoints)

    def on_end(work: Work, result: Mapping[str, Any]) -> None:
        view.ended(work, result)
        if work.stage.kind == "intermediate" and not work.is_parent and result["status"] == "finished":
            claims.remove(work.stage.train_key)  # a search looks at the score, not at the weights

    search = TrialSearch(board, on_end)
    joint = settings(study).joint
    kinds: list[Kind] = ["intermediate", "target"] if joint else list(dict.fromkeys(u.role for u in units(study)))
    grid = plan(study).stages.values() if study.resources.auto else ()
    # Trials are made up on the way: the plan has no stages.
    planned = Plan(study, info, (), {}, (), info.verified)
    driver.run(
        Job(
            plan=planned,
            stages=[stage for stage in grid if stage.kind in kinds],
            kinds=kinds,
            search=search,
            trainable=TrialTrainable,
            view=view,
            when_ended=lambda: _record_gone(planned, search.lost, search.hung, driver.results),
        )
    )
    return tally.errors


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
    from raystilts.scheduling.trial_board import latest
    from raystilts.scheduling.trial_history import trial_reports

    results = results_folder(study)
    known = trial_reports(study, results) if open_folder(results).exists() else {}
    asked = {unit: settings(study).samples_of(unit.name) for unit in units(study)}
    return {unit: max(0, count - len(latest(known.get(unit, [])))) for unit, count in asked.items()}


def _record_gone(planned: Plan, gone: list[Work], hung: Collection[str], results: str) -> None:
    """Rows for trials whose workers are gone: nobody else could write them."""
    for work in gone:
        study = trial_study(planned.study, work.unit, work.values)
        number = next_attempt(results, work.stage.key)
        attempt = Attempt(work.stage, study, planned.encoder, number, datetime.now(UTC), 0.0)
        write_attempt(results, attempt.failed(*lost(study, hung=work.stage.key in hung)), [])


def _write_chosen(study: Study, results: str) -> None:
    """The file of chosen values beside the tables."""
    from raystilts.scheduling.trial_history import outcomes

    loaded = Results(results)
    text = chosen_text(study, outcomes(loaded, study))
    loaded.folder.write("hyperparameters.yaml", text.encode(), overwrite=True)
