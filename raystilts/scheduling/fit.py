"""Handing stages to Ray Tune, one Tune run after the other over the same search."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from raystilts.errors import StorageError, UserError
from raystilts.planning.stages import Kind
from raystilts.scheduling.nodes import ACCELERATOR, Capacity
from raystilts.scheduling.record import WORKER_RESTARTS
from raystilts.study.schema import StageResources

#: Ray is told before it is imported: no usage reports, no files a trial, no takeover of Ctrl-C.
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    # Tune's own record of a run is never read again: the ledger is what a restart reads.
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths in a study file mean the same to a worker as to the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
#: Workers allocate by the jemalloc that Ray brings along (on Linux) for its own processes: where stage follows stage
#: glibc takes a tenth of the time to look for free memory. Pages stay with a worker until its stage ends.
ALLOCATOR = {"RAY_LD_PRELOAD_ON_WORKERS": "1", "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}
#: Trials of one Tune run: Tune keeps every trial of a run in memory, some 60 kB each, and lets go of all at its end.
TRIALS_A_FIT = 2500
#: While a Tune run's last stage ends the other slots wait, so that many slots take longer runs: so many stages a slot,
#: up to so many trials (1.2 GB).
ROUNDS_A_FIT, MOST_TRIALS = 40, 20_000


class StageSource(Protocol):
    """A Tune searcher over stages."""

    @property
    def ended(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        ...


def set_ray_environment() -> None:
    """Tells Ray how to behave; must come before it is imported. What the user has set stays."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables that processes started in the block get; what the user has set stays."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def ray_cluster(address: str | None) -> Iterator[None]:
    """Ray for the length of the block; one that was started before is used and left alone.

    Args:
        address: A running cluster ("auto" for this machine's); None starts one here.

    Raises:
        UserError: no cluster answers there.
    """
    set_ray_environment()
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        # None is a cluster of our own, even where RAY_ADDRESS names another.
        options = {"address": "local", "include_dashboard": False} if address is None else {"address": address}
        with _environment(ALLOCATOR):
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise
        reason = str(error).splitlines()[0][:160]
        raise UserError(
            f"--address {address}: no Ray cluster answers ({reason}); start one with: ray start --head"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def trials_a_fit(slots: int) -> int:
    """The trials of one Tune run where so many stages run at a time."""
    return max(TRIALS_A_FIT, min(MOST_TRIALS, ROUNDS_A_FIT * slots))


def fit(
    search: StageSource,
    trainable: Any,
    bundle: Callable[[Kind], StageResources],
    slots: int,
    callbacks: Sequence[Any] = (),
    trials: int | None = None,
    cluster: Capacity | None = None,
) -> None:
    """Runs all that a search hands out, so many trials a Tune run: memory does not grow with what is done.

    Args:
        search: A Tune searcher whose trials' configs hold `kind`; it goes on in each run where the last one ended.
        trainable: A class for Tune; its actors are reused within a run.
        bundle: What a kind of stage takes.
        slots: How many stages run at a time; Tune starts as many actors side by side.
        callbacks: Tune callbacks.
        trials: The most trials of one Tune run; default `trials_a_fit`.
        cluster: What there is, where stages may ask for GPUs of some memory.

    Raises:
        StorageError: the disk of temporary files is full.
    """
    from ray import tune

    trials = trials or trials_a_fit(slots)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    # Tune shows a traceback of its own for each worker that dies; the callbacks say it in a line.
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    sized = tune.with_resources(trainable, lambda config: _placement(bundle(config["kind"]), cluster))
    while not search.ended:
        scratch = Path(tempfile.mkdtemp(prefix="raystilts-tune-"))
        try:
            tune.Tuner(
                sized,
                tune_config=tune.TuneConfig(search_alg=search, num_samples=trials, reuse_actors=True),
                run_config=tune.RunConfig(
                    name="run",
                    storage_path=str(scratch),
                    verbose=0,
                    callbacks=list(callbacks),
                    failure_config=tune.FailureConfig(max_failures=WORKER_RESTARTS),
                ),
            ).fit()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StorageError(
                f"{scratch.parent}: no space left for Ray's temporary files; free some, or set TMPDIR, and run the "
                "same command again"
            ) from None
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _placement(resources: StageResources, cluster: Capacity | None) -> Any:
    from ray import tune

    fitting = cluster.fitting_gpus(resources) if cluster else ()
    where = {"bundle_label_selector": [{ACCELERATOR: f"in({','.join(fitting)})"}]} if fitting else {}
    return tune.PlacementGroupFactory([{"CPU": resources.cpus, "GPU": resources.gpus}], **where)
