"""How a run is getting on, for people: a live table or plain lines, and `progress.json` beside them.

One screen (`ProgressView`) follows a grid and a search alike: it shows a tally, which counts what has come of either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from rich.console import Console
from rich.live import Live

from raystilts.filesystem import open_folder
from raystilts.scheduling.status import State, Status, dev_points, render, signed, write_status
from raystilts.scheduling.tally import GridTally, SearchTally, describe, describe_work, share_name
from raystilts.scheduling.trial_board import Work

#: Seconds between two plain lines of many stages, between lines where nothing ends, two redraws, and two writes of
#: `progress.json`.
PLAIN_SECONDS, STILL_SECONDS, LIVE_SECONDS, FILE_SECONDS = 10.0, 60.0, 0.5, 2.0


class ProgressView(tune.Callback):  # type: ignore[misc]
    """Follows a run: a live table in a terminal, plain lines elsewhere, and `progress.json` in either case.

    Args:
        results: The folder of the tables, where `progress.json` goes.

    Attributes:
        state: Whether the run is at work, has come to its end, or has stopped before.
    """

    def __init__(self, tally: GridTally | SearchTally, results: str | Path, console: Console) -> None:
        self.tally, self.folder, self.console = tally, open_folder(results), console
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self.state: State = "running"
        self._shown = self._filed = 0.0
        self._lined = time.monotonic()
        self._warned: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that never comes (the ledger is what a restart reads)."""
        return {}

    def __enter__(self) -> ProgressView:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.live:
            self.live.stop()
        if self.state == "running":
            self.state = "ended" if kind is None else "stopped"
        self._file()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has gone round once."""
        now = time.monotonic()
        if self.live and now - self._shown > LIVE_SECONDS:
            self._shown = now
            self.live.update(render(self.status(), self.console.width), refresh=True)
        if not self.live and now - self._lined > STILL_SECONDS:
            status = self.status()
            self.say(f"[{status.head}] running: {status.at_work}")
        if now - self._filed > FILE_SECONDS:
            self._filed = now
            self._file()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._lined = time.monotonic()
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def status(self) -> Status:
        """How the run is getting on."""
        return Status.from_json(self._json())

    def tell(self, what: str, outcome: str, *, failed: bool) -> None:
        """A plain line for what has ended: every one of few, now and then one of many; every failure."""
        now = time.monotonic()
        if self.live or (not failed and self.tally.many and now - self._shown < PLAIN_SECONDS):
            return
        self._shown = now
        self.say(f"[{self.status().head}] {what}: {'FAILED' if failed else outcome}")

    def warn(self, result: Mapping[str, Any]) -> None:
        """Says once of each tracker that has failed in a worker, and of each reason for which GPUs are not shared."""
        said = {
            name: f"report_to: {name} no longer gets all runs of this study: {reason}"
            for name, reason in (result.get("trackers") or {}).items()
        }
        if (reason := result.get("not_shared")) is not None:
            said[reason] = f"resources.share: mps: stages take turns on a GPU: {reason}"
        for what, line in said.items():
            if what not in self._warned:
                self._warned.add(what)
                self.say(f"warning: {line}")

    def _json(self) -> dict[str, Any]:
        return signed(self.state) | self.tally.as_json()

    def _file(self) -> None:
        write_status(self.folder, self._json())


class GridProgress(ProgressView):
    """Follows a run of a grid, stage by stage."""

    tally: GridTally

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A stage has a device."""
        self.tally.start(trial.config["stage"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A stage has ended."""
        self._end(trial.config["stage"], trial.last_result, trial.config["until"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A stage's worker has died too often."""
        self._end(trial.config["stage"], {"status": "failed"})

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A stage's worker has died, and another takes the stage."""
        if self.state == "stopped":
            return
        what = describe(self.tally.graph.stages[trial.config["stage"]])
        self.say(f"{what}: its worker died (killed, or out of memory); it goes on from its last snapshot")

    def _end(self, key: str, result: Mapping[str, Any], until: float = 1.0) -> None:
        self.warn(result)
        if result.get("status") not in ("finished", "paused") and self.state == "stopped":
            self.tally.running.pop(key, None)  # it is left to the next run
            return
        self.tally.end(key, result, until)
        score = result.get("dev_score")
        outcome = "done" if score is None else f"dev {dev_points(score)}"
        outcome += f" at {share_name(until)}" if result.get("status") == "paused" else ""
        failed = result.get("status") not in ("finished", "paused")
        self.tell(describe(self.tally.graph.stages[key]), outcome, failed=failed)


class SearchProgress(ProgressView):
    """Follows a run of a search, one piece of work after the other."""

    tally: SearchTally

    def ended(self, work: Work, result: Mapping[str, Any]) -> None:
        """A piece of work has ended."""
        self.warn(result)
        self.tally.end(work, result)
        score = result.get("score")
        share = "" if result["status"] != "paused" else f" at {work.until:g}"
        outcome = "done" if score is None or work.is_parent else f"dev {dev_points(score)}{share}"
        self.tell(describe_work(work), outcome, failed=result["status"] == "failed")
