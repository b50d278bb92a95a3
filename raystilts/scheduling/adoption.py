"""Taking over what a study beside this one has finished: the same key names the same outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from raystilts.results.attempt import read_scores
from raystilts.results.filesystem import Folder, open_folder
from raystilts.results.ledger import Ledger
from raystilts.results.manifest import load_manifest
from raystilts.results.schema import RunRow, ScoreRow, parse_name
from raystilts.results.writer import next_attempt, write_attempt
from raystilts.scheduling.record import Attempt
from raystilts.study.plan import Plan

#: What this study calls things, and which attempt it was; all else is how the stage was run.
_OWN = (
    "study", "attempt", "intermediate", "intermediate_fraction", "target", "target_fraction", "seed",
    "hyperparameters", "encoder", "encoder_revision", "selection", "parent_stage",
)  # fmt: skip


def adopt(planned: Plan, results: str) -> int:
    """Copies the rows of missing stages that another study below the same `storage_path` has finished.

    Args:
        results: This study's folder; its neighbours are the other studies' folders.

    Returns:
        The number of stages taken over.
    """
    missing = planned.stages.keys() - Ledger(results).finished().keys()
    adopted = 0
    for name, folder in _neighbours(results):
        shared = missing & _stages(folder) if missing else set()
        for key, row in Ledger(folder).finished().items() if shared else ():
            if key in shared:
                write_attempt(results, *_copy(planned, results, name, row, read_scores(folder, key, row.attempt)))
                missing.discard(key)
                adopted += 1
    return adopted


def _neighbours(results: str) -> Iterator[tuple[str, Folder]]:
    base, _, own = results.rpartition("/")
    for name in open_folder(base).names(""):
        folder = open_folder(f"{base}/{name}")
        if name not in (own, "checkpoints") and folder.exists():
            yield name, folder


def _stages(folder: Folder) -> set[str]:
    """Stages with any attempt in a results folder, by the names of its files alone."""
    names = [*folder.names("runs"), *load_manifest(folder).consumed["runs"]]
    return {parsed[0] for name in names if (parsed := parse_name(name))}


def _copy(
    planned: Plan, results: str, neighbour: str, row: RunRow, scores: list[ScoreRow]
) -> tuple[RunRow, list[ScoreRow]]:
    stage = planned.stages[row.stage]
    number = next_attempt(results, row.stage)
    own = Attempt(stage, planned.study, planned.encoder, number, datetime.now(UTC), row.device_share).failed("", "")
    named = {name: getattr(own, name) for name in _OWN}
    mine = replace(row, **named, source=f"study {neighbour}")
    names = {name: named[name] for name in ("study", "attempt", "intermediate", "intermediate_fraction",
                                            "target_fraction", "seed")}  # fmt: skip
    return mine, [replace(score, **names) for score in scores]
