"""Processes that tests kill. Kept apart from tests: a fork server imports this module once."""

from __future__ import annotations

import itertools
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb  # noqa: F401  (imported in the server, so that a new process starts at once)

from raystilts.results.compaction import clean_up, compact
from raystilts.results.ledger import next_attempt, write_attempt

from .rows import run_row, score_rows

#: Every attempt has this many scores, all equal to ``attempt / 10,000``.
LANGUAGES = [f"l{i:02d}" for i in range(40)]


def write_one(folder: Path, stage: str, hostname: str) -> None:
    """Writes the next attempt at a stage."""
    attempt = next_attempt(folder, stage)
    run = run_row(stage, attempt=attempt, hostname=hostname)
    values = dict.fromkeys(LANGUAGES, attempt / 10_000)
    write_attempt(folder, run, score_rows(run, values))


def write_forever(folder: Path, number: int, ready: Event) -> None:
    """Writes attempts at three stages until it is killed; ready when the first is finished."""
    for i in itertools.count(number):
        write_one(folder, f"stage{i % 3}", f"{number}.{i}")
        ready.set()


def compact_forever(folder: Path, _number: int) -> None:
    """Compacts and cleans up until it is killed."""
    while True:
        compact(folder)
        clean_up(folder, older_than=0)
