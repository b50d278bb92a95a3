"""What Ray Tune runs next: stages whose parents are done, the longest remaining path first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Literal

from ray.tune.search import Searcher

from raystilts.study.plan import Stage

State = Literal["waiting", "ready", "running", "finished", "failed", "skipped"]


def remaining_path(stages: Mapping[str, Stage]) -> dict[str, int]:
    """The work (rough sub-words) from the start of each stage to the end of its longest chain of children."""
    work = {key: 3 * stage.tokens + stage.eval_tokens for key, stage in stages.items()}
    longest_child: dict[str, int] = {}
    for key, stage in reversed(list(stages.items())):  # children stand behind their parents
        work[key] += longest_child.get(key, 0)
        if stage.parent is not None:
            longest_child[stage.parent] = max(longest_child.get(stage.parent, 0), work[key])
    return work


class StageGraph:
    """Which stages wait, are ready, run and have ended; knows nothing of Ray.

    Args:
        stages: The stages to run, parents before children. A parent that is not among them is done.
    """

    def __init__(self, stages: Mapping[str, Stage]) -> None:
        self.stages = dict(stages)
        self.state: dict[str, State] = dict.fromkeys(stages, "waiting")
        self._children: dict[str, list[str]] = {}
        self._path = remaining_path(stages)
        self._ready: list[tuple[int, int, str]] = []
        self._number = {key: i for i, key in enumerate(stages)}
        self.counts: dict[State, int] = dict.fromkeys(
            ("waiting", "ready", "running", "finished", "failed", "skipped"), 0
        )
        self.counts["waiting"] = len(stages)
        for key, stage in stages.items():
            if stage.parent in self.stages:
                self._children.setdefault(str(stage.parent), []).append(key)
            else:
                self._release(key)

    def _move(self, key: str, state: State) -> None:
        self.counts[self.state[key]] -= 1
        self.counts[state] += 1
        self.state[key] = state

    def _release(self, key: str) -> None:
        self._move(key, "ready")
        heapq.heappush(self._ready, (-self._path[key], self._number[key], key))

    def take(self) -> str | None:
        """The next stage to run, or None if none is ready now."""
        if not self._ready:
            return None
        _, _, key = heapq.heappop(self._ready)
        self._move(key, "running")
        return key

    def finish(self, key: str) -> None:
        """Marks a stage as done and releases its children."""
        self._move(key, "finished")
        for child in self._children.get(key, ()):
            self._release(child)

    def fail(self, key: str) -> list[str]:
        """Marks a stage as failed; returns its children, which will not run."""
        self._move(key, "failed")
        skipped = self._children.get(key, [])
        for child in skipped:
            self._move(child, "skipped")
        return skipped

    @property
    def ended(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        return not (self.counts["waiting"] or self.counts["ready"])


class StageSearch(Searcher):  # type: ignore[misc]
    """Hands the stages of a graph to Tune, one trial a stage.

    A trial's config is `{"stage": key, "kind": kind}`; it ends with a result that holds `status`.
    """

    def __init__(self, graph: StageGraph) -> None:
        super().__init__()
        self.graph = graph
        self.trials: dict[str, str] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """There is nothing to set: stages come from the plan."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next stage; None while only running stages can release more; "FINISHED" at the end."""
        key = self.graph.take()
        if key is None:
            return str(Searcher.FINISHED) if self.graph.ended else None
        self.trials[trial_id] = key
        return {"stage": key, "kind": self.graph.stages[key].kind}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Releases the children of a finished stage; those of a failed one are not run."""
        key = self.trials.pop(trial_id, None)
        if key is None:
            return
        if error or (result or {}).get("status") != "finished":
            self.graph.fail(key)
        else:
            self.graph.finish(key)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is what a restart reads."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is what a restart reads."""
