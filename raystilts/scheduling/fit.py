"""Handing stages to Ray Tune, one Tune run after the other over the same search."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raystilts.errors import StorageError
from raystilts.planning.stage import Kind
from raystilts.scheduling.capacity import Capacity
from raystilts.scheduling.record import WORKER_RESTARTS
from raystilts.study.resources import StageResources

if TYPE_CHECKING:
    from raystilts.scheduling.searchers import SegmentSearch

#: Trials of one Tune run: Tune keeps every trial of a run in memory, some 60 kB each, and lets go of all at its end.
TRIALS_A_FIT = 2500
#: While a Tune run's last stage ends the other slots wait, so that many slots take longer runs: so many stages a slot,
#: up to so many trials (1.2 GB).
ROUNDS_A_FIT, MOST_TRIALS = 40, 20_000
#: Seconds past its time limit after which a stage counts as hung: it looks at the time between updates and batches.
HANG_SECONDS = 60.0


def trials_a_fit(slots: int) -> int:
    """The trials of one Tune run where so many stages run at a time."""
    return max(TRIALS_A_FIT, min(MOST_TRIALS, ROUNDS_A_FIT * slots))


def fit(
    search: SegmentSearch,
    trainable: Any,
    bundle: Callable[[Kind], StageResources],
    slots: int,
    callbacks: Sequence[Any] = (),
    trials: int | None = None,
    cluster: Capacity | None = None,
    time_limit_s: float | None = None,
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
        time_limit_s: Seconds after which a stage ends by itself; one that does not is ended with its worker.

    Raises:
        StorageError: the disk of temporary files is full.
    """
    from ray import tune

    trials = trials or trials_a_fit(slots)
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    # Tune shows a traceback of its own for each worker that dies; the callbacks say it in a line.
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    if time_limit_s is not None:
        callbacks = [*callbacks, _hang_watch(time_limit_s + HANG_SECONDS, search)]
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


def _hang_watch(seconds: float, search: SegmentSearch) -> Any:
    """A Tune callback that ends the worker of a stage which has run for so long."""
    import ray
    from ray import tune

    class HangWatch(tune.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.since: dict[Any, float] = {}

        def __getstate__(self) -> dict[str, Any]:
            return {}

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.since[trial] = time.monotonic()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.since.pop(trial, None)

        on_trial_recover, on_trial_error = on_trial_start, on_trial_complete

        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            now = time.monotonic()
            for trial in [one for one, begun in self.since.items() if now - begun > seconds]:
                del self.since[trial]
                search.hung.add(trial.config["stage"])
                trial.max_failures = 0  # it would hang again
                ray.kill(trial.temporary_state.ray_actor)

    return HangWatch()


def _placement(resources: StageResources, cluster: Capacity | None) -> Any:
    from ray import tune

    labels = cluster.labels(resources) if cluster else {}
    where = {"bundle_label_selector": [labels]} if labels else {}
    return tune.PlacementGroupFactory([{"CPU": resources.cpus, "GPU": resources.gpus}], **where)
