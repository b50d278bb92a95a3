"""Ray for a run: how it is told to behave, and a cluster that is started here or joined."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from raystilts.errors import UserError

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
