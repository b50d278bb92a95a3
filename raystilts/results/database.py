"""The process's DuckDB."""

from __future__ import annotations

import os
import threading
from functools import cache

import duckdb

_LOCK = threading.Lock()


def connect() -> duckdb.DuckDBPyConnection:
    """A connection with temporary tables and views of its own, to an empty database in memory.

    All connections of a process share the database, whose start costs more than most questions do. Settings of the
    database (its memory limit) would be everybody's: whoever sets them connects to one of its own.
    """
    with _LOCK:
        return _database(os.getpid()).cursor()


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """Started once a process: threads do not outlive a fork. A parent's is kept, since its end would wait for them."""
    return duckdb.connect()
