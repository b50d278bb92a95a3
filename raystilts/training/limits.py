"""When a stage is to end before its work is done: past its time, or because the run is asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class StageInterrupted(Exception):  # noqa: N818 (says what happened)
    """The run is asked to stop: what the stage has done is kept, and the next run goes on from there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a stage may go on.

    Attributes:
        deadline: Monotonic time, or None.
        interrupted: Whether the run is asked to stop; called after each update and before each batch of evaluation.
    """

    deadline: float | None = None
    interrupted: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Does nothing while the stage may go on.

        Raises:
            TimeoutError: past the deadline.
            StageInterrupted: the run is asked to stop.
        """
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeoutError
        if self.interrupted():
            raise StageInterrupted


UNLIMITED = Limits()
#: What a check of the limits may raise.
ENDED_EARLY = (TimeoutError, StageInterrupted)
