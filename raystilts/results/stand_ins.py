"""Targets of an imported table whose dev scores stand in for test scores, so that answers call them dev."""

from __future__ import annotations

import json
from collections.abc import Collection

from raystilts.filesystem import Folder

FILE = "stand_ins.json"


def read_stand_ins(folder: Folder) -> frozenset[str]:
    """The targets; none in folders of studies, and of imports before this was kept."""
    try:
        found = json.loads(folder.read(FILE))["dev_as_test"]
        return frozenset(str(name) for name in found)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return frozenset()


def write_stand_ins(folder: Folder, targets: Collection[str]) -> None:
    """Keeps the targets beside the tables.

    Raises:
        StorageError: The folder cannot be written.
    """
    if frozenset(targets) != read_stand_ins(folder):
        folder.write(FILE, json.dumps({"dev_as_test": sorted(targets)}).encode(), overwrite=True)
