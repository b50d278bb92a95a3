"""Ending a run by a signal: Ctrl-C, SIGTERM (Slurm, Kubernetes, spot nodes), SIGUSR1 (Slurm's --signal), SIGHUP.

The signal is noted, and raised as `Stopped` in the main thread. An exception that is raised inside a destructor is
swallowed by Python; what was noted is raised again at the next check. While stages run the main thread only waits, and
looks: then workers are told, through Ray's own key-value store, to keep a snapshot and stop.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from raystilts.errors import Stopped

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
#: Seconds that stages get for a snapshot once the run is asked to stop.
SNAPSHOT_SECONDS = 18.0
#: A stage asks at most this often whether it is to stop.
ASK_SECONDS = 1.0
_STOP_KEY = "raystilts-stop-"
_current: StopRequest | None = None


@dataclass(slots=True)
class StopRequest:
    """Whether a signal has come.

    Attributes:
        signum: The first one.
        hurry: Whether a second Ctrl-C has come: what is left is not to be waited for.
        waiting: Whether the main thread looks by itself, so that nothing is raised.
    """

    signum: int | None = None
    since: float = 0.0
    hurry: bool = False
    waiting: bool = False
    before: dict[int, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Does nothing until a signal has come.

        Raises:
            Stopped: one has.
        """
        if self.signum is not None:
            raise Stopped(self.signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Nothing is raised within the block; at its end, where a signal has come.

        Raises:
            Stopped: one has.
        """
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False
        self.check()

    def install(self) -> None:
        """Takes the signals, which only the main thread of a process can. Ignored ones stay ignored, as by nohup."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            found = signal.getsignal(number)
            if found is not signal.SIG_IGN:
                self.before.setdefault(number, found)
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Gives the signals back to whom they were taken from."""
        for number, handler in self.before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self.before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # One signal may come twice at once: to the process, and to its group.
        self.hurry = self.hurry or (self.signum is not None and number == signal.SIGINT and now - self.since > 1.0)
        if self.signum is None:
            self.signum, self.since = number, now
        if not self.waiting:
            raise Stopped(self.signum)


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """Signals raise `Stopped` within the block; blocks inside others share the outermost's request."""
    global _current
    if _current is not None:
        yield _current
        _current.check()
        return
    request = _current = StopRequest()
    try:
        request.install()
        yield request
        request.check()
    finally:
        _current = None
        request.restore()


def tell_workers(run: str) -> None:
    """Asks all stages of a run to stop, on whichever node they are; does not wait for an answer."""

    def put() -> None:
        from ray.experimental.internal_kv import _internal_kv_put

        with suppress(Exception):  # the cluster may be on its way down, by the same signal
            _internal_kv_put(_STOP_KEY + run, b"1")

    threading.Thread(target=put, daemon=True).start()


def asks_to_stop(run: str) -> Callable[[], bool]:
    """What a worker of a run asks now and then: whether it is to stop."""
    asked = 0.0

    def is_stopped() -> bool:
        nonlocal asked
        if time.monotonic() - asked < ASK_SECONDS:
            return False
        asked = time.monotonic()
        import ray
        from ray.experimental.internal_kv import _internal_kv_exists

        with suppress(Exception):  # without its head the cluster ends by itself
            return bool(ray.is_initialized() and _internal_kv_exists(_STOP_KEY + run))
        return False

    return is_stopped
