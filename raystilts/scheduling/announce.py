"""What a run says before its first stage: what it reads, rehearses and starts, a line each."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

Say = Callable[[str], None]
#: Seconds of silence after which a long step says how far it is.
SILENCE = 5.0


class Steps:
    """Lines with the time since the start.

    Attributes:
        started: Monotonic time.
    """

    def __init__(self, console: Console) -> None:
        self.console, self.started = console, time.monotonic()
        self._said = self.started

    def say(self, what: str) -> None:
        """A step begins."""
        self._said = time.monotonic()
        passed = self._said - self.started
        self.console.print(f"[{passed:4.0f} s] {what}", highlight=False, markup=False, soft_wrap=True, style="dim")

    def say_if_silent(self, what: str) -> None:
        """A piece of a long step begins."""
        if time.monotonic() - self._said > SILENCE:
            self.say(what)


def silent(what: str) -> None:
    """Says nothing."""
