"""Running a study: whatever its plan holds and its ledger lacks, as one Ray Tune run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from raystilts.errors import StorageError
from raystilts.filesystem import open_folder
from raystilts.planning.cost import checkpoints_folder, disk_bytes, results_folder
from raystilts.planning.data import data_folder
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.planning.stages import Plan, Stage, plan
from raystilts.results.compaction import compacting
from raystilts.results.ledger import Ledger
from raystilts.scheduling.fit import fit, ray_cluster, set_ray_environment
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.lock import HeldLock, driver_lock
from raystilts.scheduling.outstanding import adopt, only_intermediates, promising_first
from raystilts.scheduling.preflight import check_data, check_encoder, check_storage
from raystilts.scheduling.record import record_not_run, record_outcome
from raystilts.scheduling.schedule import Strata
from raystilts.study.schema import Study, merged
from raystilts.training.checkpoints import Checkpoints, open_checkpoints
from raystilts.training.events import check_tensorboard

if TYPE_CHECKING:
    from raystilts.scheduling.keeping import Keeping
    from raystilts.scheduling.progress import Tally
    from raystilts.scheduling.searchers import Record


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


def with_absolute_paths(study: Study) -> Study:
    """The same study wherever its workers stand: they need not share the driver's working directory."""
    folder = data_folder(study)
    paths = {
        "data_dir": None if folder is None else str(folder.absolute()),
        "task_files": tuple(str(Path(path).expanduser().absolute()) for path in study.task_files),
    }
    return study.model_copy(update=paths)


def checked(study: Study) -> tuple[Study, EncoderInfo]:
    """The study as workers see it, and its encoder: what it needs is here, and can be used.

    Raises:
        UserError: something cannot.
    """
    study = with_absolute_paths(study)
    if study.tensorboard:
        check_tensorboard()
    info = fetch_encoder(study.encoder)
    check_encoder(info)
    check_data(study)
    return study, info


def run(
    study: Study,
    *,
    address: str | None = None,
    console: Console | None = None,
    intermediates_only: bool = False,
    first: Path | None = None,
) -> RunOutcome:
    """Runs what is missing of a study.

    The ledger is the truth: stages that it holds as finished are not run again, whatever happened since.

    Args:
        address: A running Ray cluster ("auto" for this machine's); None starts Ray here.
        console: Where progress goes; default standard error.
        intermediates_only: Train no targets, and keep the intermediates' checkpoints.
        first: A prediction whose promising cells are to run first; see `raystilts.scheduling.outstanding`.

    Raises:
        UserError: something in the study cannot be used; nothing was trained.
        StorageError: the results folder is in use, full, or cannot be written.
    """
    set_ray_environment()
    from raystilts.scheduling.keeping import Keeping
    from raystilts.scheduling.progress import Tally

    started = time.monotonic()
    console = console or Console(stderr=True)
    study, _ = checked(study)
    planned = only_intermediates(plan(study)) if intermediates_only else plan(study)
    places = None if first is None else promising_first(planned, first)
    results = results_folder(study)
    check_storage(results, disk_bytes(planned))
    with driver_lock(results, partial(console.print, highlight=False, soft_wrap=True)) as held:
        write_study(results, study)
        checkpoints = open_checkpoints(checkpoints_folder(study))
        checkpoints.clean_up()
        adopt(planned, results)
        graph = outstanding(planned, results, places)
        already = len(planned.stages) - len(graph.stages)
        record = None
        if graph.strata is not None:
            record = partial(record_outcome, study, graph.strata, Ledger(results), results, checkpoints)
            record(graph.strata.take_decisions(), graph.take_stopped())
        keeping = Keeping(planned, graph, checkpoints, _finals(planned, results))
        tally = Tally(graph, already)
        if not graph.ended:
            with compacting(results):
                _fit(planned, tally, record, results, address, console, keeping, held)
        keeping.end()
    return _outcome(planned, graph, results, already, tuple(tally.errors), started)


def _outcome(
    planned: Plan, graph: StageGraph, results: str, already: int, errors: tuple[str, ...], started: float
) -> RunOutcome:
    counts = graph.counts
    return RunOutcome(
        planned, results, already, counts["finished"], counts["failed"], counts["skipped"], counts["stopped"],
        counts["held"], errors, time.monotonic() - started,
    )  # fmt: skip


def outstanding(planned: Plan, results: str, places: Mapping[str, int] | None = None) -> StageGraph:
    """What is left to do of a plan: what its ledger lacks, and its schedule wants by the scores that are there.

    Args:
        places: Which stages are to run first, see `StageGraph`.
    """
    todo = missing_stages(planned, Ledger(results), open_checkpoints(checkpoints_folder(planned.study)))
    if planned.study.schedule == "full":
        return StageGraph(todo, places=places)
    from raystilts.scheduling.schedule import known_curves

    known = known_curves(planned, results) if open_folder(results).exists() else {}
    return StageGraph(todo, Strata(planned, known), places)


def missing_stages(planned: Plan, ledger: Ledger, checkpoints: Checkpoints) -> dict[str, Stage]:
    """The stages to run: those without a finished row, and parents whose weights are gone but needed."""
    done = ledger.finished().keys()
    missing = {key for key in planned.stages if key not in done}
    wanted = {planned.stages[key].parent for key in missing} - {None}
    for key in wanted:
        assert key is not None
        if not checkpoints.has(planned.stages[key].train_key):
            missing.add(key)
    return {key: stage for key, stage in planned.stages.items() if key in missing}


def write_study(results: str, study: Study) -> None:
    """Keeps the study beside its tables, so that they can be read without the study file."""
    folder = open_folder(results)
    # Without one, or with one that names tasks which are gone, there is nothing to go on with.
    with suppress(FileNotFoundError, ValueError):
        study = merged(Study.model_validate(json.loads(folder.read("study.json"))), study)
    folder.write("study.json", json.dumps(study.model_dump(mode="json"), indent=1).encode(), overwrite=True)


def _finals(planned: Plan, results: str) -> dict[str, float]:
    """Dev scores of the target stages that have finished, where it matters which arm is best."""
    if planned.study.keep_targets != "best":
        return {}
    from raystilts.scheduling.schedule import known_curves

    return {key: curve.final for key, curve in known_curves(planned, results).items() if curve.final is not None}


def _fit(
    planned: Plan,
    tally: Tally,
    record: Record | None,
    results: str,
    address: str | None,
    console: Console,
    keeping: Keeping,
    held: HeldLock,
) -> None:
    """Runs the given stages on Ray.

    Raises:
        StorageError: rows or checkpoints could not be written; what was running has ended.
    """
    graph = tally.graph
    with ray_cluster(address):
        from ray import tune

        from raystilts.scheduling.device_share import prepared_with_share
        from raystilts.scheduling.progress import ProgressView
        from raystilts.scheduling.searchers import StageSearch
        from raystilts.scheduling.trainable import Assignment, StageTrainable

        stages = graph.stages.values()
        kinds = list(dict.fromkeys(stage.kind for stage in stages))
        planned, expected, cluster = prepared_with_share(planned, stages, results, kinds, address, console)
        resources = planned.study.resources
        slots = cluster.slots(resources, kinds)
        search = StageSearch(graph, record)
        held.when_lost = search.halt
        # Cells are for answers; workers need none of them.
        lean = replace(planned, cells=(), cell_stages=(), stages=graph.stages)
        attempts = {row.stage: row.attempt for row in Ledger(results).rows() if row.stage in graph.stages}
        assignment = Assignment(lean, results, checkpoints_folder(planned.study), attempts, expected)
        trainable = tune.with_parameters(StageTrainable, assignment=assignment)
        with ProgressView(tally, results, console) as view:
            fit(search, trainable, resources.of, slots, [view, keeping], cluster=cluster)
    record_not_run(planned, graph, search.lost, results)
    if search.halted is not None:
        raise StorageError(search.halted)
