"""NVIDIA's Multi-Process Service (MPS): stages that share a GPU compute side by side, instead of taking turns.

Without it a GPU runs the kernels of one process at a time. With it all processes send their kernels through one server,
and the GPU runs them together where one alone does not fill it. Results are the same. What is needed is NVIDIA's
control program, which comes with its driver.

Each node has one control daemon for all stages of a user, started by the first that asks. A keeper beside it holds no
GPU and waits until no process is left that uses the daemon, however these ended, and ends it: users hold a shared lock
on a file, which the system lets go of with the process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import FileLock

#: NVIDIA's program: the daemon itself, and what sends it commands.
CONTROL = "nvidia-cuda-mps-control"
#: Where CUDA looks for the daemon.
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
#: Seconds that the daemon has to answer its first question, and that it and its server have to end.
START_SECONDS, END_SECONDS = 30.0, 30.0
#: Seconds between two looks of the keeper.
LOOK_SECONDS = 0.5
#: The lock files that this process holds: closed, they would be let go of.
_held: list[int] = []


def has_mps() -> bool:
    """Whether this node has the control program."""
    return shutil.which(CONTROL) is not None


def join_mps() -> str | None:
    """Has CUDA in this process go through this node's MPS; to be called before CUDA is used.

    A daemon that the user has started is used and left alone. Else the first process of the node starts one.

    Returns:
        Why not, or None.
    """
    if _held:
        return None
    if not has_mps():
        return f"{CONTROL} is not there"
    if _answers(dict(os.environ)):
        return None
    try:
        folder = _folder()
        _hold(folder)
        with FileLock(folder / "start.lock"):
            error = None if _answers(_environment(folder)) else _start(folder)
    except (OSError, subprocess.SubprocessError) as failure:
        error = f"{CONTROL}: {failure}"
    if error is None:
        os.environ[PIPES] = str(folder)
    elif _held:
        os.close(_held.pop())
    return error


def _folder() -> Path:
    """Where the daemon's sockets are: a short path, for sockets may not have long ones, and for this user alone."""
    folder = Path(tempfile.gettempdir()) / f"raystilts-mps-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's own; remove it")
    return folder


def _hold(folder: Path) -> None:
    """Counts this process among the daemon's users; waits where the keeper is ending the last one's."""
    descriptor = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _held.append(descriptor)


def _environment(folder: Path) -> dict[str, str]:
    """What the daemon and its commands are told: without the share of GPUs that Ray has given to this process."""
    kept = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return kept | {PIPES: str(folder), LOGS: str(folder)}


def _command(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CONTROL], input=f"{command}\n", env=environment, capture_output=True, text=True, check=False,
        timeout=END_SECONDS,
    )  # fmt: skip


def _answers(environment: dict[str, str]) -> bool:
    return _command("get_server_list", environment).returncode == 0


def _start(folder: Path) -> str | None:
    """Starts a keeper with a daemon; why there is none, or None."""
    log = folder / "keeper.log"
    with log.open("w", encoding="utf-8") as output:
        # It forks and leaves: Ray ends the children of a worker with it, and this one is to outlive its first user.
        subprocess.run(
            [sys.executable, "-m", __name__, str(folder)], env=_environment(folder), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, check=True, timeout=START_SECONDS,
        )  # fmt: skip
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if _answers(_environment(folder)):
            return None
        if (said := log.read_text(encoding="utf-8").strip()).endswith(_ENDED):
            lines = said.splitlines()
            return f"{CONTROL} does not start: {lines[-2] if len(lines) > 1 else 'it says nothing'}"
        time.sleep(LOOK_SECONDS)
    return f"{CONTROL} does not answer within {START_SECONDS:.0f} s"


#: The keeper's last line.
_ENDED = "the daemon has ended"


def keep(folder: Path) -> None:
    """Runs a daemon for as long as it has users."""
    with (folder / "users").open("r+") as users:
        daemon = subprocess.Popen([CONTROL, "-f"], stdin=subprocess.DEVNULL)
        while daemon.poll() is None:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(LOOK_SECONDS)
                continue
            _end(daemon)
        print(_ENDED, flush=True)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    """Asks the daemon to end its server and itself; ends it where it does not."""
    try:
        _command("quit", dict(os.environ))
        daemon.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


if __name__ == "__main__":
    if os.fork() == 0:
        os.setsid()
        keep(Path(sys.argv[1]))
