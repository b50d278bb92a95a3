"""Rows of stages that nobody else could write: their worker died, or they did not run because their parent failed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from raystilts.results.ledger import Ledger
from raystilts.results.schema import RunRow
from raystilts.results.writer import next_attempt, write_attempt
from raystilts.scheduling.fit import WORKER_RESTARTS
from raystilts.scheduling.graph import StageGraph
from raystilts.scheduling.record import Attempt
from raystilts.study.plan import Plan

WORKER_DIED, PARENT_FAILED = "worker_died", "parent_failed"


def record_not_run(planned: Plan, graph: StageGraph, lost: Collection[str], results: str) -> None:
    """Writes a failed row for each stage whose worker died, and for each that was not run for its parent's failure.

    Args:
        lost: Stages whose worker died too often.
    """
    skipped = [key for key, state in graph.state.items() if state == "skipped"]
    if not lost and not skipped:
        return
    known = Ledger(results).failed()
    for key in lost:
        times = WORKER_RESTARTS + 1
        write_attempt(
            results,
            _row(planned, results, key, WORKER_DIED, f"the worker died {times} times (killed, or out of memory)"),
            [],
        )
    for key in skipped:
        # Again and again the same says nothing new.
        if key not in known or known[key].stop_reason != PARENT_FAILED:
            parent = planned.stages[str(planned.stages[key].parent)]
            error = f"not run: the training of {parent.intermediate.label} (seed {parent.seed}) failed"
            write_attempt(results, _row(planned, results, key, PARENT_FAILED, error), [])


def _row(planned: Plan, results: str, key: str, reason: str, error: str) -> RunRow:
    number = next_attempt(results, key)
    attempt = Attempt(planned.stages[key], planned.study, planned.encoder, number, datetime.now(UTC), 0.0)
    return attempt.failed(reason, error)
