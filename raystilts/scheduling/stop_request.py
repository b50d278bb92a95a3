"""Asking a run to stop from any machine that reaches its results folder: a file there, for which its driver looks.

The driver takes the file away, which is its answer, and sends itself the signal of Ctrl-C: so there is one way for a
run to end early, wherever it was asked from.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from raystilts.errors import StorageError
from raystilts.filesystem import Folder
from raystilts.scheduling.stopping import SIGNALS

STOP_FILE = "driver.stop"
#: Seconds between two looks of a driver, on a disk and on an object store; and of who waits for its answer.
DISK_SECONDS, OBJECT_SECONDS, ANSWER_SECONDS = 1.0, 5.0, 0.2
#: Seconds that the end of a run waits for a look at an object store that hangs.
_LAST_LOOK_SECONDS = 5.0


@contextmanager
def listening(folder: Folder) -> Iterator[None]:
    """Signals this process whenever a stop is asked for within the block; what was asked before it counts no more."""
    folder.delete(STOP_FILE)
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(folder, ended), name="raystilts-stop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LAST_LOOK_SECONDS)


def ask_to_stop(folder: Folder, is_alive: Callable[[], bool], patience: float) -> bool:
    """Asks the driver of a folder to stop; whether it has heard, or has ended, within so many seconds.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder.write(STOP_FILE, b"stop", overwrite=True)
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if STOP_FILE not in folder.names("", STOP_FILE) or not is_alive():
            return True
        time.sleep(ANSWER_SECONDS)
    folder.delete(STOP_FILE)
    return False


def _listen(folder: Folder, ended: threading.Event) -> None:
    seconds = OBJECT_SECONDS if folder.path is None else DISK_SECONDS
    while not ended.wait(seconds):
        with suppress(OSError, StorageError):  # a store that is not reached now may be at the next look
            folder.read(STOP_FILE)
            folder.delete(STOP_FILE)
            os.kill(os.getpid(), _signal())


def _signal() -> int:
    """That of Ctrl-C, or another that ends a run where it is ignored, as in a shell script's background jobs."""
    heard = (number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)
    return next(heard, signal.SIGTERM)
