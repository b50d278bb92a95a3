"""`progress.json`: how a run is getting on, written by it and shown on a screen, in its process or in another."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from raystilts.errors import StorageError
from raystilts.filesystem import Folder, open_folder

State = Literal["preparing", "running", "ended", "stopped"]
#: The file in the results folder.
FILE = "progress.json"
#: Counts in the order in which they are shown; those in `_ALWAYS` also where they are 0.
COUNTS = ("done", "running", "waiting", "resting", "paused", "undecided", "stopped", "failed", "not_run")
_ALWAYS = ("done", "running", "waiting", "failed")
_COLOURS = {"done": "green", "paused": "yellow", "undecided": "yellow", "stopped": "yellow", "failed": "red"}
#: Counts before the first stage.
_NOTHING_YET = dict.fromkeys(_ALWAYS, 0)
#: Running stages that are named.
NAMED = 4


@dataclass(frozen=True, slots=True)
class Best:
    """What is best so far at one thing.

    Attributes:
        name: The target, with its fraction below 1; or what is searched.
        what: The arm, or the values.
        dev: Its mean score on dev.
        seen: Arms with a score; None where that is not counted.
    """

    name: str
    what: str
    dev: float
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What `progress.json` holds.

    Attributes:
        state: `preparing`, `running`, `ended` or `stopped`.
        doing: What a run does before its first stage, in words.
        updated_at: When it was written, by the clock of the run's machine.
        counts: Stages or trials by what has come of them.
        best: By target, or by what is searched.
        targets: All of them.
        running_now: What runs, with seconds since its start.
        errors: A line for each of the last stages that failed.
    """

    state: str
    doing: str = ""
    updated_at: str = ""
    host: str = ""
    pid: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    seconds_left: float | None = None
    best: tuple[Best, ...] = ()
    targets: tuple[str, ...] = ()
    running_now: tuple[tuple[str, float], ...] = ()
    errors: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Status:
        """From the file; older ones lack some of it."""
        best = tuple(
            Best(name, str(one.get("arm", one.get("values", ""))), float(one["dev"]), one.get("arms"))
            for name, one in data.get("best_so_far", {}).items()
        )
        return cls(
            state=str(data.get("state", "running")),
            doing=str(data.get("doing", "")),
            updated_at=str(data.get("updated_at", "")),
            host=str(data.get("host", "")),
            pid=int(data.get("pid", 0)),
            counts={name: int(data[name]) for name in COUNTS if name in data},
            seconds=float(data.get("seconds", 0.0)),
            seconds_left=data.get("seconds_left"),
            best=best,
            targets=tuple(data.get("targets", ())),
            running_now=tuple((str(name), float(seconds)) for name, seconds in data.get("running_now", ())),
            errors=tuple(data.get("errors", ())),
        )

    @property
    def head(self) -> str:
        """The counts and the time left, in a line."""
        shown = [f"{n} {name.replace('_', ' ')}" for name, n in self.counts.items() if n or name in _ALWAYS]
        return ", ".join(shown) + ("" if self.seconds_left is None else f"; {clock(self.seconds_left)} left")

    @property
    def at_work(self) -> str:
        """What runs, in a line."""
        if not self.running_now:
            return self.doing
        more = len(self.running_now) - NAMED
        names = [f"{name} ({clock(seconds)})" for name, seconds in self.running_now[:NAMED]]
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def read_status(folder: Folder) -> Status | None:
    """What `progress.json` in a results folder says; None where there is none, or it is being damaged.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        return Status.from_json(json.loads(folder.read(FILE)))
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def note_preparing(results: str | Path, doing: str) -> None:
    """Says in `progress.json` what a run does before its first stage."""
    write_status(open_folder(results), signed("preparing") | {"doing": doing} | _NOTHING_YET)


def note_not_begun(results: str | Path) -> None:
    """A run has ended before its first stage: those who watch need not wait for it."""
    folder = open_folder(results)
    with suppress(StorageError):
        status = read_status(folder)
        if status is not None and status.state == "preparing":
            write_status(folder, signed("stopped") | _NOTHING_YET)


def signed(state: State) -> dict[str, Any]:
    """What every `progress.json` begins with: the state, and who says so when."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"state": state, "updated_at": now, "host": socket.gethostname(), "pid": os.getpid()}


def write_status(folder: Folder, data: dict[str, Any]) -> None:
    """Writes `progress.json`, if that can be: it must not end a run, and the ledger will say what is wrong."""
    with suppress(OSError, StorageError):
        folder.write(FILE, json.dumps(data, indent=1).encode(), overwrite=True)


def render(status: Status, width: int) -> Group:
    """The live view for a terminal of so many columns: counts, what is best so far, what runs."""
    head = Text()
    for name, n in status.counts.items():
        if n or name in _ALWAYS:
            head.append(f"{n} {name.replace('_', ' ')}  ", style=_COLOURS.get(name, "") if n else "dim")
    if status.seconds_left is not None:
        head.append(f"{clock(status.seconds_left)} left")
    table = Table(box=None, pad_edge=False, width=min(width, 100))
    for name in ("target", "best so far"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    table.add_column("dev x 100", justify="right")
    table.add_column("arms seen", justify="right")
    best = {one.name: one for one in status.best}
    for name in dict.fromkeys((*status.targets, *best)):
        if name in best:
            one = best[name]
            table.add_row(name, one.what, dev_points(one.dev), "" if one.seen is None else str(one.seen))
        else:
            table.add_row(name, "-", "-", "0")
    busy = [f"  {name} ({clock(seconds)})" for name, seconds in status.running_now[:NAMED]]
    lines = "\n".join(["running:", *busy]) if busy or not status.doing else status.doing
    return Group(head, table, Text(lines, style="dim", overflow="ellipsis", no_wrap=True))


def dev_points(score: float) -> str:
    """A dev score in points, as all answers show scores; in `progress.json` it is a share."""
    return f"{100 * score:.1f}"


def clock(seconds: float | None) -> str:
    """Seconds as people read them."""
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
