"""NVIDIA's Multi-Process Service (MPS): stages that share a GPU compute side by side, instead of taking turns.

Without it a GPU runs the kernels of one process at a time. With it all processes send their kernels through one server,
and the GPU runs them together where one alone does not fill it. Results are the same. What is needed is NVIDIA's
control program, which comes with its driver.

Each node has one control daemon for all stages of a user, started by the first that asks. A keeper beside it holds no
GPU and waits until no process is left that uses the daemon, however these ended, and ends it: users hold a shared lock
on a file, which the system lets go of with the process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

#: NVIDIA's program: the daemon itself, and what sends it commands.
CONTROL = "nvidia-cuda-mps-control"
#: Where CUDA looks for the daemon.
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
#: Seconds that the daemon has to answer and to let CUDA see a GPU, and that it has to end.
START_SECONDS, END_SECONDS = 30.0, 30.0
#: Seconds between two looks of the keeper, and between two questions to a daemon that is not its own.
LOOK_SECONDS, ASK_SECONDS = 0.5, 5.0
#: Seconds for which others do not try again what has just failed.
FAILED_SECONDS = 60.0
#: Ends with 0 where CUDA sees a GPU. torch would remember for the life of a process that it has seen none.
PROBE = """
import ctypes
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
raise SystemExit(cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1)
"""
#: What the daemon is not told: the share of GPUs that Ray has given to a process, and a worker's allocator.
_NOT_TOLD = ("CUDA_VISIBLE_DEVICES", "LD_PRELOAD", "MALLOC_CONF")
#: The keeper's last line.
_ENDED = "the daemon has ended"
#: The lock files that this process holds: closed, they would be let go of.
_held: list[int] = []


def has_joined() -> bool:
    """Whether this process uses a daemon of ours."""
    return bool(_held)


def join_mps() -> str | None:
    """Has CUDA in this process go through this node's MPS; to be called before CUDA is used.

    A daemon that the user has started is used and left alone. Else the first process of the node starts one.

    Returns:
        Why not, or None.
    """
    if _held:
        return None
    if shutil.which(CONTROL) is None:
        return f"{CONTROL} is not on PATH"
    try:
        folder = _folder()
        if _answers(dict(os.environ)):
            if _sees_gpu(dict(os.environ)):
                return None
            # CUDA looks for a daemon wherever it is told to: here is none.
            (folder / "none").mkdir(exist_ok=True)
            os.environ[PIPES] = str(folder / "none")
            return "CUDA sees no GPU through the MPS that was there before"
        _hold(folder)
        error = _joined(folder)
    except (OSError, subprocess.SubprocessError) as failure:
        error = f"{CONTROL}: {failure}"
    if error is None:
        os.environ[PIPES] = str(folder)
    elif _held:
        os.close(_held.pop())
    return error


def _joined(folder: Path) -> str | None:
    """Sees to it that a daemon and its keeper are there and that CUDA sees a GPU through it; why not, or None."""
    failed = folder / "failed"
    with FileLock(folder / "start.lock", timeout=2 * START_SECONDS + END_SECONDS):
        if failed.exists() and time.time() - failed.stat().st_mtime < FAILED_SECONDS:
            return failed.read_text(encoding="utf-8")
        kept = not _free(folder / "keeper") and _answers(_environment(folder))
        error = None if kept else _start(folder)
        if error is None and not _sees_gpu(os.environ | {PIPES: str(folder)}):
            error = "CUDA sees no GPU through MPS"
        if error is not None:
            failed.write_text(error, encoding="utf-8")
    return error


def _folder() -> Path:
    """Where the daemon's sockets are: a short path, for sockets may not have long ones, and for this user alone."""
    folder = Path(tempfile.gettempdir()) / f"raystilts-mps-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"others can write to {folder}; remove it, or set TMPDIR to another folder")
    return folder


def _hold(folder: Path) -> None:
    """Counts this process among the daemon's users; waits where the keeper is ending the last one's.

    Raises:
        TimeoutError: that takes too long.
    """
    import fcntl

    descriptor = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + END_SECONDS + START_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(descriptor)
                raise TimeoutError("the daemon of an earlier run does not end") from None
            time.sleep(LOOK_SECONDS)
        else:
            _held.append(descriptor)
            return


def _free(lock: Path) -> bool:
    """Whether nobody holds a lock file."""
    import fcntl

    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _environment(folder: Path) -> dict[str, str]:
    """Of the daemon and of its commands."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_TOLD}
    return kept | {PIPES: str(folder), LOGS: str(folder)}


def _command(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CONTROL], input=f"{command}\n", env=environment, capture_output=True, text=True, check=False,
        timeout=END_SECONDS,
    )  # fmt: skip


def _answers(environment: dict[str, str]) -> bool:
    return _command("get_server_list", environment).returncode == 0


def _sees_gpu(environment: dict[str, str]) -> bool:
    """Whether CUDA sees a GPU; a server that is starting refuses those who come meanwhile."""
    end = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=START_SECONDS, check=False
        )
        if done.returncode == 0 or time.monotonic() > end:
            return done.returncode == 0
        time.sleep(LOOK_SECONDS)


def _start(folder: Path) -> str | None:
    """Starts a keeper, and it a daemon where none answers; why there is none, or None."""
    log = folder / "keeper.log"
    with log.open("w", encoding="utf-8") as output:
        # It forks and leaves: Ray ends the children of a worker with it, and this one is to outlive its first user.
        # As a file, whatever this process can import; without its folder on the path, whose names are of all kinds.
        subprocess.run(
            [sys.executable, "-P", __file__, str(folder)], env=_environment(folder), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output, check=False, timeout=START_SECONDS,
        )  # fmt: skip
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if _answers(_environment(folder)):
            return None
        said = log.read_text(encoding="utf-8").splitlines()
        if said and said[-1] == _ENDED:
            return f"{CONTROL} does not start: {said[-2] if len(said) > 1 else 'it says nothing'}"
        time.sleep(LOOK_SECONDS)
    return f"{CONTROL} does not answer within {START_SECONDS:.0f} s; see {log}"


def keep(folder: Path) -> None:
    """Runs a daemon for as long as it has users; one whose keeper was killed it takes over."""
    import fcntl

    with (folder / "users").open("r+") as users, (folder / "keeper").open("a") as alone:
        # In this order: who comes next waits for `users`, and finds the other one free.
        fcntl.flock(alone, fcntl.LOCK_EX)
        there = _answers(dict(os.environ))
        daemon = None if there else subprocess.Popen([CONTROL, "-f"], stdin=subprocess.DEVNULL)
        asked = time.monotonic()
        try:
            while daemon is None or daemon.poll() is None:
                os.utime(folder / "users")  # files that nobody touches are cleaned away on some machines
                with suppress(BlockingIOError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if daemon is None and time.monotonic() - asked > ASK_SECONDS:
                    asked = time.monotonic()
                    if not _answers(dict(os.environ)):
                        break
                time.sleep(LOOK_SECONDS)
        finally:
            _end(daemon)
        print(_ENDED, flush=True)


def _end(daemon: subprocess.Popen[bytes] | None) -> None:
    """Asks the daemon to end its server and itself; ends it where it does not."""
    if daemon is not None and daemon.poll() is not None:
        return
    with suppress(subprocess.TimeoutExpired, OSError):
        _command("quit", dict(os.environ))
    if daemon is None:
        return
    try:
        daemon.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a broken GPU ends for nobody
            daemon.wait(END_SECONDS)


if __name__ == "__main__":
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        keep(Path(sys.argv[1]))
