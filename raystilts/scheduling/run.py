"""Running a study: whatever its plan holds and its ledger lacks, as one Ray Tune run."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from raystilts.filesystem import open_folder
from raystilts.planning.cost import disk_bytes
from raystilts.planning.stages import Plan, plan_stages
from raystilts.results.joint_choice import write_prior
from raystilts.results.ledger import Ledger
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.claims import Claims, trainings, wanted_weights
from raystilts.scheduling.cluster import set_ray_environment
from raystilts.scheduling.driver import Driver, Job, checked, driving
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.outstanding import adopt, only_intermediates, outstanding, promising_first, turns_of
from raystilts.scheduling.record import record_not_run, record_outcome
from raystilts.scheduling.rehearse import rehearse
from raystilts.scheduling.schedule import known_curves
from raystilts.study.schema import Study


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run did.

    Attributes:
        results: The results folder.
        already: Stages that the ledger held before.
        finished: Stages that finished now.
        failed: Stages that failed now, with their children that were not run in `not_run`.
        stopped: Stages that the schedule stopped before their end, now or before.
        not_needed: Stages that the schedule did without.
        errors: One line for each failed stage.
    """

    plan: Plan
    results: str
    already: int
    finished: int
    failed: int
    not_run: int
    stopped: int
    not_needed: int
    errors: tuple[str, ...]
    seconds: float


def run(
    study: Study,
    *,
    address: str | None = None,
    console: Console | None = None,
    intermediates_only: bool = False,
    first: str | None = None,
) -> RunOutcome:
    """Runs what is missing of a study.

    The ledger is the truth: stages that it holds as finished are not run again, whatever happened since.

    Args:
        address: A running Ray cluster ("auto" for this machine's); None starts Ray here.
        console: Where progress goes; default standard error.
        intermediates_only: Train no targets, and keep the intermediates' checkpoints.
        first: A prediction, or an earlier results folder, whose promising cells are to run first; see
            `raystilts.scheduling.outstanding`.

    Raises:
        UserError: something in the study cannot be used; nothing was trained.
        StorageError: the results folder is in use, full, or cannot be written.
    """
    set_ray_environment()
    started = time.monotonic()
    console = console or Console(stderr=True)
    steps = Steps(console)
    ready = checked(study, address, steps)
    planned = plan_stages(ready.resolved, ready.encoders)
    planned = only_intermediates(planned) if intermediates_only else planned
    turns = turns_of(planned, None if first is None else promising_first(planned, first))
    with driving(ready, disk_bytes(planned), address, console, steps) as driver:
        claims = Claims(driver.results, driver.checkpoints)
        claims.claim(wanted_weights(planned), trainings(planned.stages.values()))
        adopt(planned, driver.results)
        graph = outstanding(planned, driver.results, turns)
        if graph.strata is not None and graph.strata.prior:
            write_prior(open_folder(driver.results), graph.strata.prior)
        rehearse(planned, graph.left().keys(), console, driver.say)
        errors = _train(planned, graph, driver, claims)
        claims.write(trainings(graph.left().values()))
    return _outcome(planned, graph, driver.results, tuple(errors), started)


def _train(planned: Plan, graph: StageGraph, driver: Driver, claims: Claims) -> list[str]:
    """Trains what is left to do; returns a line for each stage that failed."""
    from raystilts.scheduling.progress import GridProgress
    from raystilts.scheduling.retention import Retention, drop_handed_on
    from raystilts.scheduling.searchers import StageSearch
    from raystilts.scheduling.tally import GridTally
    from raystilts.scheduling.trainable import StageTrainable

    study, results, checkpoints = planned.study, driver.results, driver.checkpoints
    record = None
    if graph.strata is not None:
        record = partial(record_outcome, study, graph.strata, Ledger(results), results, checkpoints)
        record(graph.strata.take_decisions(), graph.take_stopped())
    already = len(planned.stages) - len(graph.stages)
    best_only = study.keep_targets == "best"
    curves = known_curves(planned, results) if best_only or not graph.ended else {}
    finals = {key: curve.final for key, curve in curves.items() if curve.final is not None}
    retention = Retention(planned, graph, claims, finals if best_only else {})
    tally = GridTally(graph, already=already, compared=planned.study.compared_fraction)
    for key, score in finals.items():
        if key not in graph.stages:
            tally.count(planned.stages[key], score, at_chance=curves[key].at_chance)
    if not graph.ended:
        search = StageSearch(graph, record)
        stages = graph.stages.values()
        driver.run(
            Job(
                # Cells are for answers; workers need none of them.
                plan=replace(planned, cells=(), cell_stages=(), stages=graph.stages),
                stages=stages,
                kinds=list(dict.fromkeys(stage.kind for stage in stages)),
                search=search,
                trainable=StageTrainable,
                view=GridProgress(tally, results, driver.console),
                when_ended=lambda: record_not_run(planned, graph, search.lost, results, search.hung),
                callbacks=[retention],
            )
        )
    retention.end()
    drop_handed_on(planned, graph, checkpoints)
    return tally.errors


def _outcome(planned: Plan, graph: StageGraph, results: str, errors: tuple[str, ...], started: float) -> RunOutcome:
    counts, already = graph.counts, len(planned.stages) - len(graph.stages)
    return RunOutcome(
        planned, results, already, counts["finished"], counts["failed"], counts["skipped"], counts["stopped"],
        counts["held"], errors, time.monotonic() - started,
    )  # fmt: skip
