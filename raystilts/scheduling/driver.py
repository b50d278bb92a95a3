"""What running a grid and running a search have in common, from the checks before to the last Tune run.

A driver checks what the study needs, takes the lock of the results folder, keeps the study beside its tables, and
hands what is left to do to Ray.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from raystilts.errors import StorageError
from raystilts.filesystem import open_folder
from raystilts.planning.cost import checkpoints_folder, results_folder
from raystilts.planning.data import StudyData, data_folder
from raystilts.planning.encoders import EncoderInfo, fetch_encoder
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Kind, Plan, Stage
from raystilts.results.compaction import compacting
from raystilts.results.ledger import Ledger
from raystilts.results.study_file import read_study
from raystilts.results.task_facts import write_tasks
from raystilts.scheduling.capacity import prepared
from raystilts.scheduling.cluster import ray_cluster
from raystilts.scheduling.fit import fit
from raystilts.scheduling.lock import HeldLock, driver_lock
from raystilts.scheduling.preflight import check_data, check_encoder, check_storage
from raystilts.study.schema import Study, merged
from raystilts.tasks.facts import facts_of
from raystilts.training.checkpoints import Checkpoints, open_checkpoints
from raystilts.training.events import check_tensorboard

if TYPE_CHECKING:
    from raystilts.scheduling.progress import ProgressView
    from raystilts.scheduling.searchers import SegmentSearch


def checked(study: Study) -> tuple[Study, EncoderInfo]:
    """The study as workers see it, and its encoder: what it needs is here, and can be used.

    Raises:
        UserError: something cannot.
    """
    study = _with_absolute_paths(study)
    if study.tensorboard:
        check_tensorboard()
    info = fetch_encoder(study.encoder)
    check_encoder(info)
    check_data(study)
    return study, info


def _with_absolute_paths(study: Study) -> Study:
    """The same study wherever its workers stand: they need not share the driver's working directory."""
    folder = data_folder(study)
    paths = {
        "data_dir": None if folder is None else str(folder.absolute()),
        "task_files": tuple(str(Path(path).expanduser().absolute()) for path in study.task_files),
    }
    return study.model_copy(update=paths)


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
        results: The results folder.
        checkpoints: Those of the study.
        address: The running Ray cluster; None for one of our own.
    """

    results: str
    checkpoints: Checkpoints
    console: Console
    address: str | None
    lock: HeldLock

    def run(self, job: Job) -> None:
        """Runs on Ray whatever is left to do.

        Raises:
            UserError: nodes that cannot take part, or stages that no node can take.
            StorageError: rows or checkpoints could not be written; what was running has ended.
        """
        with compacting(self.results):
            with ray_cluster(self.address):
                self._fit(job)
            job.when_ended()
        if job.search.halted is not None:
            raise StorageError(job.search.halted)

    def _fit(self, job: Job) -> None:
        from ray import tune

        from raystilts.scheduling.trainable import Assignment

        planned, expected, cluster = prepared(job.plan, job.stages, self.results, job.kinds, self.address, self.console)
        resources = planned.study.resources
        slots = cluster.slots(resources, job.kinds)
        self.lock.when_lost = job.search.halt
        stages = planned.stages  # none where the search makes them up
        rows = (row for row in Ledger(self.results).rows() if not stages or row.stage in stages)
        attempts = {row.stage: row.attempt for row in rows}
        assignment = Assignment(planned, self.results, checkpoints_folder(planned.study), attempts, expected)
        trainable = tune.with_parameters(job.trainable, assignment=assignment)
        with job.view as view:
            fit(job.search, trainable, resources.of, slots, [view, *job.callbacks], cluster=cluster)


@contextmanager
def driving(study: Study, disk_bytes: int | None, address: str | None, console: Console) -> Iterator[Driver]:
    """The driver of a study's results folder for the length of the block; its study and checkpoints are in order.

    Args:
        study: As `checked` returns it.
        disk_bytes: What the checkpoints will take, where that is known.

    Raises:
        UserError: the results folder cannot be written.
        StorageError: it is in use, or full.
    """
    results = results_folder(study)
    check_storage(results, disk_bytes)
    with driver_lock(results, partial(console.print, highlight=False, soft_wrap=True)) as lock:
        write_study(results, study)
        checkpoints = open_checkpoints(checkpoints_folder(study))
        checkpoints.clean_up()
        yield Driver(results, checkpoints, console, address, lock)


def write_study(results: str, study: Study) -> None:
    """Keeps the study and the facts of its tasks beside the tables, so that these can be read without any other file.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = open_folder(results)
    resolved, data = resolve(study), StudyData(study)
    facts = {one.task.name: facts_of(one.task) for one in resolved.targets}
    trained = [one for arm in resolved.arms for one in arm.tasks]
    for one in (*trained, *(target for target in resolved.targets if target.task.requires_training)):
        facts[one.task.name] = facts_of(one.task) | {"rows": data.training(one.task, one.hyperparameters).rows}
    write_tasks(folder, facts)
    # What is there may be damaged: then there is nothing to go on with.
    with suppress(ValueError):
        old = read_study(folder)
        study = study if old is None else merged(old, study)
    folder.write("study.json", json.dumps(study.model_dump(mode="json"), indent=1).encode(), overwrite=True)
