"""Which stage is next: of those whose parents are done and that the schedule wants, the one whose turn it is."""

from __future__ import annotations

import heapq
import typing
from collections.abc import Iterable, Mapping
from typing import Literal

from raystilts.planning.stage import Stage
from raystilts.scheduling.schedule import Strata

#: `held` and `paused` stages (not begun, begun) wait for a decision of their stratum, `waiting` ones for their parent;
#: at the end, held ones were not needed. `skipped` ones were not run because their parent failed.
State = Literal["waiting", "ready", "running", "held", "paused", "stopped", "finished", "failed", "skipped"]
#: When a stage is handed out: numbers that are compared one after the other.
Turn = tuple[int, ...]
_OPEN: tuple[State, ...] = ("waiting", "ready", "held", "paused", "stopped")


def remaining_path(stages: Mapping[str, Stage]) -> dict[str, int]:
    """The work (rough sub-words) from the start of each stage to the end of its longest chain of children."""
    work = {key: 3 * stage.tokens + stage.eval_tokens for key, stage in stages.items()}
    longest_child: dict[str, int] = {}
    for key, stage in reversed(list(stages.items())):  # children stand behind their parents
        work[key] += longest_child.get(key, 0)
        for source in stage.after:
            longest_child[source] = max(longest_child.get(source, 0), work[key])
    return work


class StageGraph:
    """Which stages wait, are ready, run and have ended; knows nothing of Ray.

    A stage is handed out when those that it starts from are done and its stratum wants it further than it is; one that
    others start from, when any of these is wanted. Stages that a rule has stopped come last, where the schedule
    finishes them.

    Args:
        stages: The stages to run, parents before children. A parent that is not among them is done.
        strata: What the schedule wants; default everything, to the end.
        turns: Stages whose turn is smaller are handed out first, those without one before all; of equal ones, those
            with the longest path. It decides nothing else.
    """

    def __init__(
        self, stages: Mapping[str, Stage], strata: Strata | None = None, turns: Mapping[str, Turn] | None = None
    ) -> None:
        self.stages = dict(stages)
        self.strata = strata
        self.state: dict[str, State] = dict.fromkeys(stages, "held")
        self.counts: dict[State, int] = dict.fromkeys(typing.get_args(State), 0)
        self.counts["held"] = len(stages)
        self._children: dict[str, list[str]] = {}
        self._path = remaining_path(stages)
        self._number = {key: i for i, key in enumerate(stages)}
        self._turns = turns or {}
        self._ready: list[tuple[bool, Turn, int, int, str]] = []
        self._stopped: list[str] = []
        for key, stage in stages.items():
            for source in stage.after:
                if source in self.stages:
                    self._children.setdefault(source, []).append(key)
        for key in stages:
            self._settle(key)

    def take(self) -> str | None:
        """The next stage to run (see `until`), or None if none is ready now."""
        while self._ready:
            *_, key = heapq.heappop(self._ready)
            if self.state[key] == "ready":  # it may have been taken, or stopped, since it was put there
                self._move(key, "running")
                return key
        return None

    def until(self, key: str) -> float:
        """Share of its budget to which a stage is to be trained now."""
        if self.strata is None or self._is_leftover(key):
            return 1.0
        return self.strata.goal(key)

    def reached(self, key: str) -> float:
        """Share of its budget that a stage has been trained to, in segments."""
        return 0.0 if self.strata is None else self.strata.reached.get(key, 0.0)

    def pause(self, key: str, share: float, score: float | None) -> None:
        """A stage has reached a rung: its stratum decides whether it goes on."""
        assert self.strata is not None
        self._move(key, "held")
        self._settle_all(self.strata.pause(key, share, score) | {key})

    def finish(self, key: str, score: float | None = None) -> None:
        """Marks a stage as done and releases its children.

        Args:
            score: Its dev score, where it has one.
        """
        self._move(key, "finished")
        for child in self._children.get(key, ()):
            self._settle(child)
        if self.strata is not None:
            self._settle_all(self.strata.finish(key, score))

    def fail(self, key: str) -> list[str]:
        """Marks a stage as failed; returns all that start from it, near or far, which will not run."""
        self._move(key, "failed")
        skipped: list[str] = []
        self._skip_children(key, skipped)
        for one in (key, *skipped) if self.strata is not None else ():
            assert self.strata is not None
            self._settle_all(self.strata.fail(one))
        return skipped

    def _skip_children(self, key: str, skipped: list[str]) -> None:
        for child in self._children.get(key, ()):
            if self.state[child] in _OPEN:
                self._move(child, "skipped")
                skipped.append(child)
                self._skip_children(child, skipped)

    def take_stopped(self) -> list[str]:
        """Stages that were stopped since the last call."""
        found, self._stopped = self._stopped, []
        return found

    def left(self) -> dict[str, Stage]:
        """The stages that are still to run, or may be: those that are not stopped, and not done without at the end."""
        spared = {"finished", "stopped", "held"} if self.ended else {"finished", "stopped"}
        return {key: stage for key, stage in self.stages.items() if self.state[key] not in spared}

    @property
    def ended(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        counts = self.counts
        undecided = counts["held"] + counts["paused"]
        return not (counts["waiting"] or counts["ready"] or (counts["running"] and undecided))

    def _move(self, key: str, state: State) -> None:
        self.counts[self.state[key]] -= 1
        self.counts[state] += 1
        self.state[key] = state

    def _settle_all(self, keys: Iterable[str]) -> None:
        """Moves stages to where their strata's goals put them, and then all the stages that they start from."""
        known = [key for key in keys if key in self.stages]
        while known:
            for key in known:
                self._settle(key)
            sources = (source for key in known for source in self.stages[key].after)
            known = [source for source in dict.fromkeys(sources) if source in self.stages]

    def _settle(self, key: str) -> None:
        old = self.state[key]
        if old not in _OPEN:
            return
        new = self._place(key)
        if new == old:
            return
        self._move(key, new)
        if new == "ready":
            turn = self._turns.get(key, ())
            heapq.heappush(self._ready, (self._is_leftover(key), turn, -self._path[key], self._number[key], key))
        elif new == "stopped":
            self._stopped.append(key)

    def _place(self, key: str) -> State:
        if not self._is_wanted(key):
            if self.strata is not None and key in self.strata.stopped:
                return "stopped"
            return "paused" if self.reached(key) else "held"
        missing = (one for one in self.stages[key].after if one in self.stages and self.state[one] != "finished")
        return "ready" if next(missing, None) is None else "waiting"

    def _is_wanted(self, key: str) -> bool:
        children = self._children.get(key)
        if children:
            return any(self._is_wanted(child) for child in children if self.state[child] in _OPEN)
        return self.until(key) > self.reached(key)

    def _is_leftover(self, key: str) -> bool:
        """Whether a stage is stopped, and to be finished all the same; one with children if all that is left are."""
        if self.strata is None or not self.strata.finish_stopped:
            return False
        children = self._children.get(key)
        if children:
            wanted = [child for child in children if self.state[child] in _OPEN and self._is_wanted(child)]
            return bool(wanted) and all(self._is_leftover(child) for child in wanted)
        return key in self.strata.stopped
