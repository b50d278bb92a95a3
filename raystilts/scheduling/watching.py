"""Following a run from elsewhere: another terminal, or another machine that sees the same storage."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum

from rich.console import Console
from rich.live import Live

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.scheduling.status import Status, read_status, render

#: Seconds between two looks; on an object store each is a request.
LOOK_SECONDS, REMOTE_LOOK_SECONDS = 1.0, 5.0
#: Seconds between two lines where nobody looks at a terminal.
LINE_SECONDS = 60.0
#: Seconds without a sign of life after which a run counts as gone. Before its first stage it gives none for long.
SILENT_SECONDS, PREPARING_SECONDS = 60.0, 1800.0
#: Times that the storage may not answer in a row.
TRIES = 10


class Outcome(IntEnum):
    """How a run ended, as an exit code."""

    done = 0
    failures = 1
    unfinished = 3


@dataclass(slots=True)
class _Seen:
    """What has been seen and said so far.

    Attributes:
        changed: When `updated_at` was last another.
        lined: When the last line of counts was said.
    """

    changed: float
    updated_at: str = ""
    said: str = ""
    lined: float | None = None
    errors: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Watch:
    """Looks at `progress.json` until its run ends.

    Attributes:
        clock: Seconds, from anywhere; likewise `sleep` waits for some.
    """

    results: str
    console: Console
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def follow(self) -> Outcome:
        """Shows how the run is getting on until it ends, or gives no sign of life.

        Raises:
            UserError: there is no such folder.
            StorageError: the storage does not answer.
        """
        folder = open_folder(self.results)
        if not folder.exists():
            raise UserError(f"{self.results}: no such results folder; give <storage_path>/<study name> of the run")
        every = LOOK_SECONDS if folder.path is not None else REMOTE_LOOK_SECONDS
        live = Live(console=self.console, auto_refresh=False, transient=True) if self.console.is_terminal else None
        if live is None:
            return self._follow(folder, every, None)
        with live:
            return self._follow(folder, every, live)

    def _follow(self, folder: Folder, every: float, live: Live | None) -> Outcome:
        seen = _Seen(self.clock())
        while True:
            status = self._look(folder)
            now = self.clock()
            if status is None:
                self._say_once(seen, "no run has begun in this folder yet; waiting for one")
            else:
                self._tell(status, seen, now, live)
                if (outcome := self._ended(status, seen, now)) is not None:
                    return outcome
            self.sleep(every)

    def _look(self, folder: Folder) -> Status | None:
        for _ in range(TRIES - 1):
            with suppress(StorageError, OSError):
                return read_status(folder)
            self.sleep(REMOTE_LOOK_SECONDS)
        return read_status(folder)

    def _tell(self, status: Status, seen: _Seen, now: float, live: Live | None) -> None:
        for error in status.errors:
            if error not in seen.errors:
                seen.errors.add(error)
                self._say(f"FAILED {error}")
        if status.updated_at != seen.updated_at:
            seen.updated_at, seen.changed = status.updated_at, now
        if live is not None:
            live.update(render(status, self.console.width), refresh=True)
        elif status.state == "preparing":
            self._say_once(seen, f"preparing: {status.doing}")
        elif seen.lined is None or now - seen.lined >= LINE_SECONDS:
            seen.lined = now
            self._say(f"[{status.head}] running: {status.at_work or '-'}")

    def _ended(self, status: Status, seen: _Seen, now: float) -> Outcome | None:
        if status.state == "ended":
            self._say(f"the run has ended: {status.head.partition(';')[0]}")
            return Outcome.failures if status.counts.get("failed", 0) else Outcome.done
        if status.state == "stopped":
            self._say(f"the run stopped before its end: {status.head.partition(';')[0]}; the same command goes on")
            return Outcome.unfinished
        limit = PREPARING_SECONDS if status.state == "preparing" else SILENT_SECONDS
        if now - seen.changed > limit or _age(status) > 20 * limit:
            self._say(
                f"no sign of life since {status.updated_at} of process {status.pid} on {status.host}; if it is gone, "
                "the same command goes on"
            )
            return Outcome.unfinished
        return None

    def _say_once(self, seen: _Seen, text: str) -> None:
        if text != seen.said:
            seen.said = text
            self._say(text)

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _age(status: Status) -> float:
    """Seconds since the file was written, by two clocks that may differ; 0 where it does not say."""
    with suppress(ValueError):
        return (datetime.now(UTC) - datetime.fromisoformat(status.updated_at)).total_seconds()
    return 0.0
