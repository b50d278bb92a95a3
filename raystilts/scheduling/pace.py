"""How fast a run gets on, and so how long it will take: nothing is said before that is known.

What ends first has waited for Ray, for the imports of its worker and for data to be tokenised, so that it tells little
of the others. Once as many have ended again as run side by side, the time since is what counts. Before that long pieces
of work may be gone by, beside which such a start is short.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Seconds of a piece of work beside which the start of its worker is short.
LONG_SECONDS = 60.0


@dataclass(slots=True)
class Pace:
    """The pieces of work that have ended.

    Attributes:
        side_by_side: The most that have run at a time.
        begun: Monotonic time at which each that runs was begun.
        ends: Monotonic time, amount of work and seconds of each that has ended.
    """

    side_by_side: int = 1
    begun: dict[str, float] = field(default_factory=dict)
    ends: list[tuple[float, float, float]] = field(default_factory=list)

    def begin(self, key: str) -> None:
        """A piece of work has a device."""
        self.begun[key] = time.monotonic()
        self.side_by_side = max(self.side_by_side, len(self.begun))

    def end(self, key: str, work: float, *, counts: bool = True) -> None:
        """It has ended.

        Args:
            work: How much it was, in any unit.
            counts: Whether it was done: what fails says nothing of the others.
        """
        now, begun = time.monotonic(), self.begun.pop(key, None)
        if counts and begun is not None and work > 0:
            self.ends.append((now, work, now - begun))

    def end_one(self, started: float, running: int) -> None:
        """One of many alike has ended, whose start was not seen.

        Args:
            started: Monotonic time at which the first were begun.
            running: How many others run.
        """
        self.side_by_side = max(self.side_by_side, running + 1)
        now, rounds = time.monotonic(), 1 + len(self.ends) // self.side_by_side
        self.ends.append((now, 1.0, (now - started) / rounds))

    def seconds_left(self, work_left: float, running: Mapping[str, float] | None = None) -> float | None:
        """The time that is left; None before it can be told.

        Args:
            work_left: All that has not ended, what runs included.
            running: How much each is that runs.
        """
        if work_left <= 0:
            return 0.0
        first, later = self.ends[: self.side_by_side], self.ends[self.side_by_side :]
        now = time.monotonic()
        if len(later) > self.side_by_side:
            last = self.ends[-1][0]
            expected = (last - first[-1][0]) * work_left / sum(work for _, work, _ in later)
            return max(0.0, expected - (now - last))
        seconds = sum(one for _, _, one in self.ends)
        if not self.ends or seconds / len(self.ends) < LONG_SECONDS:
            return None
        rate = seconds / sum(work for _, work, _ in self.ends)
        gone = (min(now - self.begun[key], rate * work) for key, work in (running or {}).items() if key in self.begun)
        return max(0.0, rate * work_left - sum(gone)) / self.side_by_side
