"""How a search is getting on: a live table of the best so far, plain lines, `progress.json`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ray import tune
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from raystilts.errors import StorageError
from raystilts.results.filesystem import open_folder
from raystilts.scheduling.progress import FILE_SECONDS, LIVE_SECONDS, PLAIN_SECONDS, clock
from raystilts.scheduling.trial_board import TrialBoard, Work


@dataclass(slots=True)
class TrialTally:
    """What a search has seen in this run.

    Attributes:
        best: By unit, the best finished trial's score and values.
        done: Segments that ended in this run.
    """

    board: TrialBoard
    started: float = field(default_factory=time.monotonic)
    best: dict[str, tuple[float, str]] = field(default_factory=dict)
    done: int = 0
    errors: list[str] = field(default_factory=list)

    def end(self, work: Work, result: dict[str, Any]) -> None:
        """A piece of work has ended."""
        self.done += 1
        score = result.get("score")
        if result["status"] == "failed":
            lines = str(result.get("error") or "the worker died").strip().splitlines()
            self.errors.append(f"{describe(work)}: {lines[-1]}")
        elif result["status"] == "finished" and not work.is_parent and score is not None:
            self.best[work.unit.name] = max(self.best.get(work.unit.name, (-1.0, "")), (score, values_text(work)))

    @property
    def seconds_left(self) -> float | None:
        """Time left if the trials that are left take as long as those of this run; None before the first."""
        counts = self.board.counts
        ended = counts["ended"] + counts["resting"]
        if not self.done or not ended:
            return None
        return (time.monotonic() - self.started) * max(0, counts["asked"] - ended) / max(1, min(self.done, ended))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        counts = self.board.counts
        left = self.seconds_left
        return {
            "done": counts["ended"],
            "running": counts["running"],
            "resting": counts["resting"],
            "waiting": counts["asked"] - counts["ended"] - counts["running"] - counts["resting"],
            "failed": len(self.board.failed),
            "seconds": round(time.monotonic() - self.started, 1),
            "seconds_left": None if left is None else round(left),
            "best_so_far": {name: {"dev": round(s, 4), "values": v} for name, (s, v) in self.best.items()},
        }


def values_text(work: Work) -> str:
    """A trial's values in a few words."""
    return ", ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in work.values.items())  # fmt: skip


def describe(work: Work) -> str:
    """A piece of work in a few words."""
    if work.is_parent:
        return f"train {work.stage.intermediate.label}"
    return f"{work.unit.name} ({values_text(work)})"


class TrialView(tune.Callback):  # type: ignore[misc]
    """Follows a search.

    Args:
        results: The results folder, for `progress.json`.
    """

    def __init__(self, tally: TrialTally, results: str, console: Console) -> None:
        self.tally, self.results, self.console = tally, results, console
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._shown = self._filed = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that never comes."""
        return {}

    def __enter__(self) -> TrialView:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
        self._file()

    def ended(self, work: Work, result: dict[str, Any]) -> None:
        """Tells of a piece of work: every one of few, now and then one of many, every failure."""
        self.tally.end(work, result)
        now = time.monotonic()
        failed = result["status"] == "failed"
        many = self.tally.board.counts["asked"] > 100
        if self.live or (many and not failed and now - self._shown < PLAIN_SECONDS):
            return
        self._shown = now
        counts, score = self.tally.as_json(), result.get("score")
        share = "" if result["status"] != "paused" else f" at {work.until:g}"
        outcome = "FAILED" if failed else "done" if score is None or work.is_parent else f"dev {score:.3f}{share}"
        self.console.print(
            f"[{counts['done']} done, {counts['running']} running, {counts['resting']} resting, {counts['waiting']} "
            f"waiting; {clock(self.tally.seconds_left)} left] {describe(work)}: {outcome}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has gone round once."""
        now = time.monotonic()
        if self.live and now - self._shown > LIVE_SECONDS:
            self._shown = now
            self.live.update(render(self.tally), refresh=True)
        if now - self._filed > FILE_SECONDS:
            self._filed = now
            self._file()

    def _file(self) -> None:
        text = json.dumps(self.tally.as_json(), indent=1)
        # A view that cannot be written must not end a run; the ledger will say what is wrong.
        with suppress(OSError, StorageError):
            open_folder(self.results).write("progress.json", text.encode(), overwrite=True)


def render(tally: TrialTally) -> Group:
    """The live view."""
    counts = tally.as_json()
    head = Text(
        f"{counts['done']} done  {counts['running']} running  {counts['resting']} resting  "
        f"{counts['waiting']} waiting  {counts['failed']} failed  {clock(tally.seconds_left)} left"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("searched", "best dev", "values"):
        table.add_column(name, overflow="fold")
    for name, (score, values) in tally.best.items():
        table.add_row(name, f"{score:.3f}", values)
    return Group(head, table)
