"""Ray for a run: how it is told to behave, and a cluster that is started here or joined."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
    # Signals are ours: Ray would print a C++ trace for SIGTERM.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}
#: Workers allocate by the jemalloc that Ray brings along (on Linux) for its own processes: where stage follows stage
#: glibc takes a tenth of the time to look for free memory. Pages stay with a worker until its stage ends.
ALLOCATOR = {"RAY_LD_PRELOAD_ON_WORKERS": "1", "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"}

#: Tells Ray, where it is 0, that its cluster is this machine.
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
#: Seconds that a running cluster's head has to answer, and that Ray has to end.
ANSWER_SECONDS, SHUTDOWN_SECONDS = 25.0, 8.0
#: A first question to the head process of the cluster at an address.
_ASK = """
import socket, sys
from ray._private.services import canonicalize_bootstrap_address
from ray._raylet import GcsClient
address = canonicalize_bootstrap_address(sys.argv[1])
if address is None:
    sys.exit("no Ray cluster was started on this machine")
host, _, port = address.rpartition(":")
socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
GcsClient(address=address).internal_kv_exists(b"raystilts", None, timeout=10)
"""


def ray_folder() -> Path:
    """Where Ray keeps sessions of this machine, as it chooses itself."""
    given = os.environ.get("RAY_TMPDIR") or (os.environ.get("TMPDIR") if sys.platform == "linux" else None)
    return Path(given or "/tmp") / "ray"


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

    One that is started here can be reached from this machine alone, and keeps its logs from other users.

    Args:
        address: A running cluster ("auto" for this machine's); None starts one here.

    Raises:
        UserError: no cluster answers there, or it lets nobody in without its token.
    """
    set_ray_environment()
    import ray

    if ray.is_initialized():
        yield
        return
    if address is None:
        _start_here()
    else:
        _join(address)
    _keep_credentials()
    try:
        yield
    finally:
        _shut_down()


def _start_here() -> None:
    import ray

    # None is a cluster of our own, even where RAY_ADDRESS names another.
    with _environment(ALLOCATOR), _on_loopback(), _own_signals():
        try:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # of many kinds, and none that says what to do
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise UserError(
                f"Ray does not start on this machine ({lines[0][:200]}); its logs are below {ray_folder()}, and "
                "RAY_TMPDIR=/path names another folder for them"
            ) from None


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Has Ray's processes listen on the loopback interface alone, as Ray itself has it on macOS and Windows.

    Ray decides by a variable that it reads when it is imported, which may have happened before.
    """
    import ray

    constants: Any = getattr(ray._private, "ray_constants", None)
    before = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    with _environment({LOOPBACK: "0"}):
        if before is not None:
            constants.ENABLE_RAY_CLUSTER = os.environ[LOOPBACK] not in ("0", "false")
        try:
            yield
        finally:
            if before is not None:
                constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps Ray from taking SIGTERM, which it would answer by leaving at once."""
    import ray

    utils: Any = getattr(ray._private, "utils", None)
    before = getattr(utils, "set_sigterm_handler", None)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = before


def _keep_credentials() -> None:
    """Takes AWS keys out of what Tune hands to its workers: Ray writes that into its logs, in clear text.

    Workers have them from their node's environment.
    """
    with suppress(ImportError, AttributeError):
        from ray.tune.execution import class_cache

        names = class_cache.ENV_VARS_TO_PROPAGATE
        names -= {name for name in names if name.startswith("AWS_")}


def _join(address: str) -> None:
    import ray

    if "://" not in address:
        _check_address(address)
    try:
        with _own_signals():
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> UserError:
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    if "InvalidAuthToken" in reason or "authentication" in reason.lower():
        return UserError(
            f"--address {address}: this Ray cluster wants a token, which its head has in ~/.ray/auth_token; copy that "
            "file here and run: export RAY_AUTH_MODE=token (or start the head with RAY_AUTH_MODE=disabled)"
        )
    why = lines[-1][:160] if lines else "no answer"
    return UserError(f"--address {address}: no Ray cluster answers ({why}); start one with: ray start --head")


def _check_address(address: str) -> None:
    """Asks a cluster's head for a sign of life, in a process of its own: Ray would wait long, and say much.

    Raises:
        UserError: it gives none.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK, address], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")
        said = said if "InvalidAuthToken" in said else f"no answer in {ANSWER_SECONDS:.0f} s"
        raise _unreachable(address, said) from None
    if done.returncode != 0:
        raise _unreachable(address, done.stderr)


def head_answers() -> bool:
    """Whether the head process of the cluster that this one is connected to takes connections."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError):
        return False
    return True


def _shut_down() -> None:
    """Leaves Ray; without its head it may not answer, and is not waited for."""
    import ray

    thread = threading.Thread(target=ray.shutdown, daemon=True)
    thread.start()
    thread.join(SHUTDOWN_SECONDS)
