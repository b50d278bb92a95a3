"""What Ray Tune runs next: segments of a graph's stages, or of the trials of a hyperparameter search.

A segment is a stage, or the part of it up to the next rung. Each is one trial to Tune, whose config names the stage,
its `kind`, and the share of its budget `until` which it runs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.search import Searcher

from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.schedule import Decision
from raystilts.scheduling.trial_board import TrialBoard, Work

#: Takes what was decided, and the stages that this has stopped.
Record = Callable[[Sequence[Decision], Sequence[str]], None]


class SegmentSearch(Searcher):  # type: ignore[misc]
    """What both searchers are to Tune: they hand segments out until nothing is left, or they are halted.

    Attributes:
        halted: Why no segment is handed out any more; None while they are.
        stopping: Whether the run was asked to stop: workers that die now have not failed.
        hung: Stages whose worker was ended because it was past the time limit and did not stop by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.halted: str | None = None
        self.stopping = False
        self.hung: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a restore that never comes (the ledger is what a restart reads)."""
        return {}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """There is nothing to set: what runs comes from the study."""
        return True

    @property
    def ended(self) -> bool:
        """Whether nothing is left to hand out, now or later."""
        return self.halted is not None or self._done()

    def halt(self, reason: str) -> None:
        """Hands nothing out any more: what runs ends, what waits is left to the next driver."""
        self.halted = self.halted or reason

    def stop(self, reason: str) -> None:
        """As `halt`, where what runs is asked to stop, and is left to the next driver too."""
        self.stopping = True
        self.halt(reason)

    def left_over(self, result: dict[str, Any] | None, error: bool) -> bool:
        """Whether a segment that has ended is one that the stop has cut short."""
        return (self.stopping and error) or (result is not None and result.get("status") == "interrupted")

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next segment; None while only running ones can release more; "FINISHED" at the end."""
        config = None if self.halted else self._take(trial_id)
        if config is None and self.ended:
            return str(Searcher.FINISHED)
        return config

    @abstractmethod
    def _take(self, trial_id: str) -> dict[str, Any] | None:
        """The config of the next segment; None if there is none now."""

    @abstractmethod
    def _done(self) -> bool:
        """Whether all there is has been handed out and has ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is what a restart reads."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is what a restart reads."""


class StageSearch(SegmentSearch):
    """The stages of a graph.

    A segment's config is `{"stage": key, "kind": kind, "until": share}`. It ends with a result that holds `status`
    (`finished`, `paused`, `failed`, or `storage` where it could not be kept), and the stage's `dev_score` where it has
    one.

    Args:
        record: Keeps what the schedule decides, as soon as it does.

    Attributes:
        lost: Stages whose worker died too often.
    """

    def __init__(self, graph: StageGraph, record: Record | None = None) -> None:
        super().__init__()
        self.graph = graph
        self.record = record
        self.trials: dict[str, tuple[str, float]] = {}
        self.lost: list[str] = []

    def _done(self) -> bool:
        return self.graph.ended

    def _take(self, trial_id: str) -> dict[str, Any] | None:
        key = self.graph.take()
        if key is None:
            return None
        until = self.graph.until(key)
        self.trials[trial_id] = key, until
        return {"stage": key, "kind": self.graph.stages[key].kind, "until": until}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Releases the children of a finished stage; those of a failed one are not run; a paused one may go on."""
        key, until = self.trials.pop(trial_id, (None, 0.0))
        if key is None or self.left_over(result, error):
            return
        result = result or {}
        if error:
            self.lost.append(key)
        status = "failed" if error else result.get("status")
        if status == "finished":
            # A run whose training broke is in no mean, and so in no decision.
            self.graph.finish(key, None if result.get("flagged") else result.get("dev_score"))
        elif status == "paused":
            self.graph.pause(key, until, result.get("dev_score"))
        elif status == "storage":
            self.halt(str(result.get("error")))
        else:
            self.graph.fail(key)
        self.record_decisions()

    def record_decisions(self) -> None:
        """Has what was decided since the last call recorded."""
        decisions = self.graph.strata.take_decisions() if self.graph.strata else []
        stopped = self.graph.take_stopped()
        if self.record is not None and (decisions or stopped):
            self.record(decisions, stopped)


class TrialSearch(SegmentSearch):
    """The trials of a board.

    A segment's config is what the actor needs to find the stage again: `unit`, `role`, `values`, `stage`, `kind`,
    `until`.

    Args:
        on_end: Called with each piece of work that has ended, and what came of it.

    Attributes:
        lost: Work whose worker died too often.
    """

    def __init__(self, board: TrialBoard, on_end: Callable[[Work, dict[str, Any]], None] | None = None) -> None:
        super().__init__()
        self.board = board
        self.on_end = on_end
        self.work: dict[str, Work] = {}
        self.lost: list[Work] = []

    def _done(self) -> bool:
        return self.board.ended

    def _take(self, trial_id: str) -> dict[str, Any] | None:
        work = self.board.take()
        if work is None:
            return None
        self.work[trial_id] = work
        return {
            "stage": work.stage.key,
            "kind": work.stage.kind,
            "until": work.until,
            "unit": work.unit.name,
            "role": work.unit.role,
            "values": dict(work.values),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the sampler and the rungs."""
        work = self.work.pop(trial_id, None)
        if work is None or self.left_over(result, error):
            return
        found = {"status": "failed", "error": "the worker died"} if error else result or {"status": "failed"}
        if error:
            self.lost.append(work)
        if found["status"] == "storage":
            self.halt(str(found.get("error")))
            return
        finished = found["status"] == "finished"
        score = 1.0 if work.is_parent and finished else self._score(found)
        share, hours = 1.0 if finished else work.until, float(found.get("seconds", 0.0)) / 3600
        self.board.end(work, share, score, hours, lost=error)
        if self.on_end is not None:
            self.on_end(work, found | {"score": score})

    def _score(self, result: dict[str, Any]) -> float | None:
        if result["status"] == "failed":
            return None
        metric = self.board.search.metric
        value = result.get("dev_score") if metric is None else (result.get("dev_means") or {}).get(metric)
        return None if value is None else float(value)
