"""What running a grid and running a search have in common, from the checks before to the last Tune run.

A driver checks what the study needs, takes the lock of the results folder, keeps the study beside its tables, and
hands what is left to do to Ray.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raystilts.errors import ClusterError, StorageError
from raystilts.filesystem import Folder, open_folder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.data import data_folder
from raystilts.planning.dev_test import shared_rows, shared_rows_key
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.planning.resolve import ResolvedStudy, ResolvedTask, resolve
from raystilts.planning.stage import Kind, Stage
from raystilts.planning.stages import Plan
from raystilts.results.compaction import compacting
from raystilts.results.ledger import Ledger
from raystilts.results.study_file import read_study
from raystilts.results.task_facts import read_tasks, write_tasks
from raystilts.scheduling.announce import Steps
from raystilts.scheduling.capacity import prepared
from raystilts.scheduling.cluster import head_answers, ray_cluster
from raystilts.scheduling.fit import fit
from raystilts.scheduling.lock import HeldLock, driver_lock
from raystilts.scheduling.nodes import announce
from raystilts.scheduling.preflight import (
    check_data,
    check_places,
    check_storage,
)
from raystilts.scheduling.rehearse import check_checkpoints, check_encoder
from raystilts.scheduling.status import note_not_begun, note_preparing
from raystilts.scheduling.stopping import SNAPSHOT_SECONDS, StopRequest, stoppable, tell_workers
from raystilts.study.intermediate import Intermediate
from raystilts.study.merging import merged
from raystilts.study.schema import Study
from raystilts.tasks.facts import facts_of
from raystilts.tracking.check import Trackers, check_installed, prepare
from raystilts.training.checkpoints import Checkpoints, open_checkpoints

#: Seconds between two looks at signals, and at Ray's head process; and for how long that may not answer (after 60 s Ray
#: itself ends this process).
LOOK_SECONDS, HEAD_LOOK_SECONDS, HEAD_SECONDS = 0.2, 3.0, 30.0
#: Notes on data that are shown before the rest is counted.
SAID = 5

if TYPE_CHECKING:
    from raystilts.scheduling.progress import ProgressView
    from raystilts.scheduling.searchers import SegmentSearch


@dataclass(frozen=True, slots=True)
class Checked:
    """A study that can be run.

    Attributes:
        resolved: The study as workers see it.
        encoders: In the order of the study file.
        results: The results folder.
    """

    resolved: ResolvedStudy
    encoders: tuple[EncoderInfo, ...]
    results: str


def checked(study: Study, address: str | None, steps: Steps) -> Checked:
    """Finds out whether all that a study needs is here, and can be used.

    Args:
        address: The running Ray cluster; None for one of our own.
        steps: Told what is read.

    Raises:
        UserError: something cannot.
        StorageError: there is no room for temporary files or copies.
    """
    results = results_folder(study)  # a place that is none is said before all else
    check_places(address)
    resolved = resolve(_with_absolute_paths(study))
    check_installed(study)
    names = " and ".join(encoder.label for encoder in study.all_encoders)
    steps.say(f"reading the encoder {names} and the data")
    encoders = tuple(fetch_encoder(encoder) for encoder in study.all_encoders)
    for info in encoders:
        check_encoder(info)
    if check_checkpoints(resolved):
        resolved = resolve(resolved.study)
    said = check_data(resolved, steps.say_if_silent)
    more = [f"and {len(said) - SAID} more; raystilts tasks check names them all"] if len(said) > SAID else []
    for line in (*said[:SAID], *more):
        steps.say(f"note: {line}")
    return Checked(resolved, encoders, results)


def _with_absolute_paths(study: Study) -> Study:
    """The same study wherever its workers stand: they need not share the driver's working directory."""
    folder = data_folder(study)
    paths = {
        "data_dir": None if folder is None else str(folder.absolute()),
        "task_files": tuple(str(Path(path).expanduser().absolute()) for path in study.task_files),
        "intermediates": tuple(map(_with_absolute_checkpoint, study.intermediates)),
    }
    return study.model_copy(update=paths)


def _with_absolute_checkpoint(arm: Intermediate) -> Intermediate:
    if arm.checkpoint is None or not Path(arm.checkpoint.checkpoint).expanduser().is_dir():
        return arm
    place = str(Path(arm.checkpoint.checkpoint).expanduser().absolute())
    return arm.model_copy(update={"checkpoint": arm.checkpoint.model_copy(update={"checkpoint": place})})


@dataclass(frozen=True, slots=True)
class Job:
    """What a driver has Ray do.

    Attributes:
        plan: What workers are given.
        stages: Those whose memory is measured where the study leaves their resources to us.
        kinds: Kinds of the stages that run.
        search: Hands them out.
        trainable: Runs them.
        callbacks: Tune callbacks beside the view.
        when_ended: Called after the last stage, before results are compacted.
    """

    plan: Plan
    stages: Collection[Stage]
    kinds: Sequence[Kind]
    search: SegmentSearch
    trainable: type
    view: ProgressView
    when_ended: Callable[[], None]
    callbacks: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Driver:
    """The one driver of a results folder.

    Attributes:
        resolved: Its study.
        results: The results folder.
        checkpoints: Those of the study.
        address: The running Ray cluster; None for one of our own.
        stop: Whether a signal has come.
        steps: Told what is done before the first stage.
        trackers: Those of the study that answer.
    """

    resolved: ResolvedStudy
    results: str
    checkpoints: Checkpoints
    console: Console
    address: str | None
    lock: HeldLock
    stop: StopRequest
    steps: Steps
    trackers: Trackers = field(default_factory=Trackers)

    def say(self, doing: str) -> None:
        """Says what is done before the first stage, here and to those who watch from elsewhere."""
        self.steps.say(doing)
        note_preparing(self.results, doing)

    def run(self, job: Job) -> None:
        """Runs on Ray whatever is left to do.

        Raises:
            UserError: nodes that cannot take part, or stages that no node can take.
            StorageError: rows or checkpoints could not be written; what was running has ended.
            ClusterError: Ray's head process is gone.
            Stopped: a signal has come; what was running has kept a snapshot, if there was time.
        """
        with compacting(self.results):
            with ExitStack() as stack:
                self.say("starting Ray" if self.address is None else f"joining the Ray cluster at {self.address}")
                with self.stop.deferred():  # until Ray is there to be shut down
                    stack.enter_context(ray_cluster(self.address))
                self._fit(job)
            job.when_ended()
        if job.search.halted is not None:
            raise StorageError(job.search.halted)

    def _fit(self, job: Job) -> None:
        from ray import tune

        from raystilts.scheduling.trainable import Assignment

        look = partial(announce, self.resolved, self.results, job.kinds)
        planned, expected, cluster = prepared(job.plan, job.stages, look, job.kinds, self.address, self.console)
        resources = planned.study.resources
        slots = cluster.slots(resources, job.kinds)
        self.lock.when_lost = job.search.halt
        stages = planned.stages  # none where the search makes them up
        rows = (row for row in Ledger(self.results).rows() if not stages or row.stage in stages)
        attempts = {row.stage: row.attempt for row in rows}
        run = uuid.uuid4().hex
        planned = replace(planned, study=planned.study.model_copy(update={"report_to": self.trackers.names}))
        assignment = Assignment(
            planned, self.results, checkpoints_folder(planned.study), attempts, expected, run, self.trackers.settings
        )
        trainable = tune.with_parameters(job.trainable, assignment=assignment)
        with job.view as view:
            fitting = _Fitting(
                partial(
                    fit, job.search, trainable, resources.of, slots, [view, *job.callbacks],
                    cluster=cluster, time_limit_s=planned.study.time_limit_s,
                )
            )  # fmt: skip
            fitting.start()
            self._watch(fitting, job, run)

    def _watch(self, fitting: _Fitting, job: Job, run: str) -> None:
        """Waits for the last stage, for a signal, or for the end of Ray's head process."""
        answered = looked = time.monotonic()
        with self.stop.deferred():
            while fitting.is_alive() and self.stop.signum is None:
                fitting.join(LOOK_SECONDS)
                if time.monotonic() - looked < HEAD_LOOK_SECONDS:
                    continue
                looked = time.monotonic()
                answered = looked if head_answers() else answered
                if looked - answered > HEAD_SECONDS:
                    job.search.stop("the head process is gone")
                    job.view.state = "stopped"
                    raise ClusterError("the head process of the Ray cluster (GCS) is gone")
            if self.stop.signum is not None:
                self._end_early(fitting, job, run)
        if fitting.error is not None:
            raise fitting.error
        if job.search.halted is not None:
            job.view.state = "stopped"

    def _end_early(self, fitting: _Fitting, job: Job, run: str) -> None:
        """Has what runs keep a snapshot, and waits for that for a while."""
        job.view.state = "stopped"
        job.search.stop("the run was asked to stop")
        tell_workers(run)
        end = time.monotonic() + SNAPSHOT_SECONDS
        while fitting.is_alive() and time.monotonic() < end and not self.stop.hurry:
            fitting.join(LOOK_SECONDS)


class _Fitting(threading.Thread):
    """Tune at work beside the main thread, which is left to signals.

    Attributes:
        error: What it ended with, where it failed.
    """

    def __init__(self, fit_all: Callable[[], object]) -> None:
        super().__init__(name="raystilts-fit", daemon=True)
        self.fit_all = fit_all
        self.error: BaseException | None = None

    def run(self) -> None:
        """Runs all Tune runs."""
        try:
            self.fit_all()
        except BaseException as error:
            self.error = error


@contextmanager
def driving(
    ready: Checked, disk_bytes: int | None, address: str | None, console: Console, steps: Steps
) -> Iterator[Driver]:
    """The driver of a study's results folder for the length of the block; its study and checkpoints are in order.

    Args:
        disk_bytes: What the checkpoints will take, where that is known.

    Raises:
        UserError: the results folder cannot be written.
        StorageError: it is in use, or full.
    """
    resolved, results = ready.resolved, ready.results
    check_storage(results, disk_bytes)
    say = partial(console.print, highlight=False, soft_wrap=True)
    with stoppable() as stop, driver_lock(results, say) as lock:
        write_study(results, resolved)
        checkpoints = open_checkpoints(checkpoints_folder(resolved.study))
        checkpoints.clean_up()
        trackers = prepare(resolved.study, results, say)
        try:
            yield Driver(resolved, results, checkpoints, console, address, lock, stop, steps, trackers)
        except BaseException:
            note_not_begun(results)
            raise


def write_study(results: str, resolved: ResolvedStudy) -> None:
    """Keeps the study and the facts of its tasks beside the tables, so that these can be read without any other file.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder, study, data = open_folder(results), resolved.study, resolved.data
    facts = {task.name: facts_of(task) for arm in resolved.all_arms for task in arm.data}
    facts |= {one.task.name: facts_of(one.task) for one in resolved.targets}
    trained = [one for arm in resolved.all_arms for one in arm.tasks]
    for one in (*trained, *(target for target in resolved.targets if target.task.requires_training)):
        facts[one.task.name] = facts_of(one.task) | {"rows": data.training(one.task, one.hyperparameters).rows}
    for one in resolved.targets:
        facts[one.task.name] |= _shared(one, folder, data.folder)
    write_tasks(folder, facts)
    # What is there may be damaged: then there is nothing to go on with.
    with suppress(ValueError):
        old = read_study(folder)
        study = study if old is None else merged(old, study)
    folder.write("study.json", json.dumps(study.model_dump(mode="json"), indent=1).encode(), overwrite=True)


def _shared(target: ResolvedTask, results: Folder, data: Path | None) -> dict[str, Any]:
    """What a target's test data shares with its other splits; as the results folder has it, where that is of this data.

    Comparing all rows takes up to a second a target, which a study that goes on need not take again.
    """
    key, known = shared_rows_key(target, data), read_tasks(results, None).get(target.task.name)
    if known is not None and known.shared_key == key:
        return {"shared": [asdict(one) for one in known.shared], "shared_key": key}
    return {"shared": shared_rows(target, data), "shared_key": key}
