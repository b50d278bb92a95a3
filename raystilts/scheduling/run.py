"""Running a study: whatever its plan holds and its ledger lacks, as one Ray Tune run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from raystilts.errors import StorageError, UserError
from raystilts.results.ledger import Ledger
from raystilts.results.writer import next_attempt, write_attempt
from raystilts.scheduling.preflight import check_data, check_encoder, check_storage, disk_bytes
from raystilts.study.data import data_folder
from raystilts.study.encoders import fetch_encoder
from raystilts.study.plan import Plan, Stage, plan
from raystilts.study.schema import Study
from raystilts.training.checkpoint import Checkpoints

#: Ray is told before it is imported: no usage reports, no files a trial, no takeover of Ctrl-C.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths in a study file mean the same to a worker as to the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
#: Restarts of a stage whose worker died, before the stage counts as failed.
WORKER_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run did.

    Attributes:
        results: The results folder.
        already: Stages that the ledger held before.
        finished: Stages that finished now.
        failed: Stages that failed now, with their children that were not run in `not_run`.
        errors: One line for each failed stage.
    """

    plan: Plan
    results: Path
    already: int
    finished: int
    failed: int
    not_run: int
    errors: tuple[str, ...]
    seconds: float


def results_folder(study: Study) -> Path:
    """Where a study's tables are: `<storage_path>/<study name>`."""
    return Path(study.storage_path).expanduser().absolute() / study.name


def with_absolute_paths(study: Study) -> Study:
    """The same study wherever its workers stand: they need not share the driver's working directory."""
    folder = data_folder(study)
    paths = {
        "data_dir": None if folder is None else str(folder.absolute()),
        "task_files": tuple(str(Path(path).expanduser().absolute()) for path in study.task_files),
    }
    return study.model_copy(update=paths)


def run(study: Study, *, address: str | None = None, console: Console | None = None) -> RunOutcome:
    """Runs what is missing of a study.

    The ledger is the truth: stages that it holds as finished are not run again, whatever happened since.

    Args:
        address: A running Ray cluster ("auto" for this machine's); None starts Ray here.
        console: Where progress goes; default standard error.

    Raises:
        UserError: something in the study cannot be used; nothing was trained.
        StorageError: the results folder is in use, full, or cannot be written.
    """
    started = time.monotonic()
    console = console or Console(stderr=True)
    study = with_absolute_paths(study)
    info = fetch_encoder(study.encoder)
    check_encoder(info)
    check_data(study)
    planned = plan(study)
    results = results_folder(study)
    check_storage(results, disk_bytes(planned))
    with _lock(results):
        _write_study(results, study)
        todo = missing_stages(planned, Ledger(results), Checkpoints(results.parent / "checkpoints"))
        already = sum(key not in todo for key in planned.stages)
        if not todo:
            return RunOutcome(planned, results, already, 0, 0, 0, (), time.monotonic() - started)
        tally = _fit(planned, todo, results, address, console, already)
    if study.keep == "needed" and not tally.graph.counts["failed"]:
        for stage in planned.of_kind("intermediate"):
            Checkpoints(results.parent / "checkpoints").remove(stage.train_key)
    counts = tally.graph.counts
    return RunOutcome(
        planned, results, already, counts["finished"], counts["failed"], counts["skipped"],
        tuple(tally.errors), time.monotonic() - started,
    )  # fmt: skip


def missing_stages(planned: Plan, ledger: Ledger, checkpoints: Checkpoints) -> dict[str, Stage]:
    """The stages to run: those without a finished row, and parents whose weights are gone but needed."""
    done = ledger.finished().keys()
    missing = {key for key in planned.stages if key not in done}
    wanted = {planned.stages[key].parent for key in missing} - {None}
    for key in wanted:
        assert key is not None
        if checkpoints.find(planned.stages[key].train_key) is None:
            missing.add(key)
    return {key: stage for key, stage in planned.stages.items() if key in missing}


@contextmanager
def _lock(results: Path) -> Iterator[None]:
    """One driver a results folder; the lock goes with its process."""
    lock = FileLock(results / ".driver.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StorageError(
            f"{results}: another raystilts run is writing here; wait for it to end, or give the study another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _write_study(results: Path, study: Study) -> None:
    """Keeps the study beside its tables, so that they can be read without the study file."""
    temporary = results / ".study.json"
    temporary.write_text(json.dumps(study.model_dump(mode="json"), indent=1), encoding="utf-8")
    temporary.replace(results / "study.json")


def _fit(
    planned: Plan, todo: dict[str, Stage], results: Path, address: str | None, console: Console, already: int
) -> Any:
    """One Tune run over the given stages."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray
    from ray import tune

    from raystilts.scheduling.progress import ProgressView, Tally
    from raystilts.scheduling.search import StageGraph, StageSearch
    from raystilts.scheduling.trainable import Assignment, StageTrainable

    own = not ray.is_initialized()
    if own:
        _start_ray(address)
    scratch = Path(tempfile.mkdtemp(prefix="raystilts-tune-"))
    try:
        slots = _check_resources(planned.study, todo)
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
        graph = StageGraph(todo)
        search = StageSearch(graph)
        tally = Tally(graph, already)
        own_results = results.absolute()
        assignment = Assignment(planned, str(own_results), str(own_results.parent / "checkpoints"))
        trainable = tune.with_parameters(StageTrainable, assignment=assignment)
        with ProgressView(tally, results / "progress.json", console) as view:
            tuner = tune.Tuner(
                tune.with_resources(trainable, lambda config: _bundle(planned.study, config["kind"])),
                tune_config=tune.TuneConfig(search_alg=search, num_samples=-1, reuse_actors=True),
                run_config=tune.RunConfig(
                    name="run",
                    storage_path=str(scratch),
                    verbose=0,
                    callbacks=[view],
                    failure_config=tune.FailureConfig(max_failures=WORKER_RESTARTS),
                ),
            )
            tuner.fit()
        _record_lost(planned, graph, results)
        return tally
    finally:
        if own:
            ray.shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def _start_ray(address: str | None) -> None:
    import ray

    try:
        if address is None:
            # A cluster of our own, even where RAY_ADDRESS names another.
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:160]
        raise UserError(
            f"--address {address}: no Ray cluster answers ({reason}); start one with: ray start --head"
        ) from None


def _bundle(study: Study, kind: Any) -> Any:
    from ray import tune

    resources = study.resources.of(kind)
    return tune.PlacementGroupFactory([{"CPU": resources.cpus, "GPU": resources.gpus}])


def _check_resources(study: Study, todo: dict[str, Stage]) -> int:
    """How many stages can run at a time.

    Raises:
        UserError: a kind of stage asks for more than any machine has.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    slots = 1
    for kind in dict.fromkeys(stage.kind for stage in todo.values()):
        wanted = study.resources.of(kind)
        room = [
            min(
                node.get("CPU", 0) / wanted.cpus,
                node.get("GPU", 0) / wanted.gpus if wanted.gpus else float("inf"),
            )
            for node in nodes
        ]
        if max(room, default=0) < 1:
            most = max((node.get("GPU", 0) for node in nodes), default=0)
            cpus = max((node.get("CPU", 0) for node in nodes), default=0)
            raise UserError(
                f"resources: a {kind} stage asks for {wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs, but no machine "
                f"has more than {cpus:g} CPUs and {most:g} GPUs; try --set resources.gpus=0 or --set resources.cpus=1"
            )
        slots = max(slots, sum(int(share) for share in room))
    return slots


def _record_lost(planned: Plan, graph: Any, results: Path) -> None:
    """Rows for stages whose workers died: nobody else could write them."""
    from raystilts.scheduling.record import Attempt

    failed = [key for key, state in graph.state.items() if state == "failed"]
    known = Ledger(results).failed() if failed else {}
    for key in failed:
        if key not in known:
            number = next_attempt(results, key)
            attempt = Attempt(planned.stages[key], planned.study, planned.encoder, number, datetime.now(UTC), 0.0)
            error = f"the worker died {WORKER_RESTARTS + 1} times (killed, or out of memory)"
            write_attempt(results, attempt.failed("worker_died", error), [])
