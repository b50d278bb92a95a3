"""Handing a stage's numbers to trackers beside its training; none of them can hold it up or make it fail."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from raystilts.planning.stage import Stage
from raystilts.study.schema import Study
from raystilts.tracking.cell import (
    Ending,
    Point,
    TrackedStage,
    Tracker,
    loss_points,
    points_of,
    reason_of,
    score_points,
    summary_of,
    tracked,
    tracker_module,
)
from raystilts.training.loop import Progress
from raystilts.training.result import Score, StageResult

#: Seconds that a stage waits at its end for trackers to take what is left.
PATIENCE = 30.0
#: Reports outside evaluations are this far apart, and at least this share of the time so far.
REPORT_SECONDS, REPORT_SHARE = 30.0, 0.02
#: Trackers that have failed in this process, with the reason: they are left alone from then on.
_OFF: dict[str, str] = {}


def reporter_of(stage: Stage, study: Study, results: str, settings: Mapping[str, str]) -> Reporter:
    """Opens a stage's runs in all trackers of its study."""
    openers: dict[str, Callable[[TrackedStage], Tracker]] = {n: tracker_module(n).Run for n in study.report_to}
    return Reporter(tracked(stage, study, results, settings), openers)


@dataclass(slots=True)
class Reporter:
    """A stage's runs in all trackers of its study; without any it asks nothing of the training.

    Attributes:
        stage: What they are told it is.
        openers: What opens its run in each.
    """

    stage: TrackedStage
    openers: Mapping[str, Callable[[TrackedStage], Tracker]]
    _lines: dict[str, _Line] = field(default_factory=dict)
    _ended: bool = False
    _losses: int = 0
    _records: int = 0
    _began: float = field(default_factory=time.monotonic)
    _reported: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._lines = {n: _Line(n, open_run, self.stage) for n, open_run in self.openers.items() if n not in _OFF}

    def resumed(self, progress: Progress) -> None:
        """The training goes on from here: what it holds has been reported."""
        self._losses, self._records = len(progress.losses), len(progress.records)

    def is_due(self) -> bool:
        """Whether it is time for a report outside evaluations."""
        now = time.monotonic()
        return bool(self._lines) and now - self._reported > max(REPORT_SECONDS, REPORT_SHARE * (now - self._began))

    def report(self, progress: Progress) -> None:
        """Hands on what is new in a training."""
        if not self._lines:
            return
        self._reported = time.monotonic()
        points = loss_points(progress.losses[self._losses :], self._losses)
        points += score_points((Score(**record) for record in progress.records[self._records :]), self.stage.mixed)
        self.resumed(progress)
        if points:
            self._tell(points)

    def end(self, status: str, result: StageResult | None = None, seconds: float = PATIENCE) -> dict[str, str]:
        """The stage has ended; returns the trackers that have failed, with the reason.

        Args:
            seconds: How long to wait for all of them.
        """
        self._ended = True
        if not self._lines:
            return {}
        mixed = self.stage.mixed
        known = () if result is None else (summary_of(result, mixed), points_of(result, mixed))
        self._tell(Ending(status, *known))
        until = time.monotonic() + seconds
        failed = {}
        for name, line in self._lines.items():
            reason = line.wait(max(0.0, until - time.monotonic()))
            if reason is not None:
                failed[name] = _OFF[name] = reason
        return failed

    def close(self) -> None:
        """Ends the runs of a stage that ended otherwise; waits for nothing."""
        if not self._ended:
            self._ended = True
            self._tell(Ending("interrupted"))

    def _tell(self, what: Sequence[Point] | Ending) -> None:
        for line in self._lines.values():
            line.tell(what)


class _Line:
    """One tracker at work in a thread of its own.

    It is a daemon: what a tracker hangs on does not keep the process.
    """

    def __init__(self, name: str, open_run: Callable[[TrackedStage], Tracker], stage: TrackedStage) -> None:
        self.open_run, self.stage = open_run, stage
        self.messages: queue.SimpleQueue[Sequence[Point] | Ending] = queue.SimpleQueue()
        self.error: str | None = None
        self.thread = threading.Thread(target=self._work, name=f"raystilts-{name}", daemon=True)
        self.thread.start()

    def tell(self, what: Sequence[Point] | Ending) -> None:
        """Hands something over; returns at once."""
        self.messages.put(what)

    def wait(self, seconds: float) -> str | None:
        """Waits for the end of the run; why the tracker failed, if it did."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            return "it did not take all that there was within some seconds of the end of a stage"
        return self.error

    def _work(self) -> None:
        try:
            run = self.open_run(self.stage)
            while not isinstance(message := self.messages.get(), Ending):
                run.log(message)
            run.end(message)
        # Whatever a tracker does wrong, also by its ways of ending a program, is its own affair.
        except BaseException as error:
            self.error = reason_of(error)
