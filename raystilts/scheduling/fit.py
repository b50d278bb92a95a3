"""Handing stages to Ray Tune, one Tune run after the other over the same search."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from raystilts.errors import StorageError
from raystilts.planning.stages import Kind
from raystilts.scheduling.capacity import Capacity
from raystilts.scheduling.record import WORKER_RESTARTS
from raystilts.study.schema import StageResources

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

    labels = cluster.labels(resources) if cluster else {}
    where = {"bundle_label_selector": [labels]} if labels else {}
    return tune.PlacementGroupFactory([{"CPU": resources.cpus, "GPU": resources.gpus}], **where)
