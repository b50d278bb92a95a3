"""What lies below a `storage_path` and no study needs: weights, trainings in progress, what killed writers left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from raystilts.errors import UserError
from raystilts.filesystem import open_folder
from raystilts.planning.cost import CHECKPOINTS
from raystilts.scheduling.lock import driver_lock
from raystilts.scheduling.storage import Storage, StoredStudy, read_storage
from raystilts.training.checkpoints import LEFTOVER_SECONDS, TRAIN_KEY, is_temporary, open_checkpoints


@dataclass(frozen=True, slots=True)
class Spare:
    """Something that may go.

    Attributes:
        name: A train key, or a path below the folder of the weights or of the study.
        what: Whose it was, in words.
    """

    kind: Literal["weights", "training in progress", "leftover", "leftover of the study"]
    name: str
    what: str
    size: int


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What can be removed below the `storage_path` of a study.

    Attributes:
        held_back: Studies that do not say which trainings they may go on with, so that none in progress is removed.
    """

    results: str
    spare: tuple[Spare, ...]
    held_back: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(one.size for one in self.spare)


def find_spare(results: str) -> Cleaning:
    """Looks for what no study below the same `storage_path` needs; removes nothing.

    Raises:
        UserError: there is no study.
    """
    base, _, name = open_folder(results).url.rpartition("/")
    storage = read_storage(base)
    if name not in storage.studies:
        raise UserError(f"{results}: no study was run here; name a results folder: <storage_path>/<study name>")
    needed = set().union(*(needed_by(study) for study in storage.studies.values()))
    silent = [one.name for one in storage.studies.values() if one.unfinished is None and _trains(one)]
    spare = list(_weights(storage, needed, name))
    in_progress = [key for key in storage.in_progress if key not in needed and TRAIN_KEY.fullmatch(key)]
    if not silent:
        spare += [Spare("training in progress", key, "", storage.in_progress[key]) for key in in_progress]
    spare += _hidden(storage)
    spare += _temporary(storage.studies[name])
    return Cleaning(results, tuple(spare), tuple(silent) if in_progress else ())


def needed_by(study: StoredStudy) -> set[str]:
    """The train keys that a study claims, or may go on with."""
    return study.claims | (study.unfinished or set())


def _trains(study: StoredStudy) -> bool:
    """Whether a folder is of a study that was run, and not a table from elsewhere."""
    return any(one.name == "study.json" for one in study.files)


def _weights(storage: Storage, needed: set[str], own: str) -> Iterator[Spare]:
    """Weights that nobody needs, with what they are to the study that is cleaned, or else to another."""
    studies = sorted(storage.studies.values(), key=lambda study: study.name == own)
    rows = {row.train_key: row for study in studies for row in study.rows if row.steps_done}
    for key in sorted(storage.weights):
        if key in needed or not TRAIN_KEY.fullmatch(key):
            continue
        row = rows.get(key)
        what = "of no study that is here"
        if row is not None:
            seed = "" if row.seed is None else f", seed {row.seed}"
            target = "" if row.target is None else f" > {row.target}"
            what = f"{row.intermediate}{target}{seed} of {row.study}"
        yield Spare("weights", key, what, storage.weights[key])


def _hidden(storage: Storage) -> Iterator[Spare]:
    """What has been under a temporary name among the weights for so long that its writer is gone."""
    for name, files in sorted(storage.hidden.items()):
        newest = max((one.written for one in files if one.written is not None), default=None)
        if is_temporary(PurePosixPath(name)) and _is_old(newest):
            yield Spare("leftover", name, "of a killed writer", sum(one.size for one in files))


def _temporary(study: StoredStudy) -> Iterator[Spare]:
    """Temporary files among a study's tables."""
    for one in study.files:
        if one.name.rpartition("/")[2].startswith(".") and one.name.endswith(".tmp") and _is_old(one.written):
            yield Spare("leftover of the study", one.name, "of a killed writer", one.size)


def _is_old(written: datetime | None) -> bool:
    return written is not None and (datetime.now(UTC) - written).total_seconds() > LEFTOVER_SECONDS


def remove(wanted: Cleaning) -> Cleaning:
    """Removes what was found, where it is spare still; returns what has gone.

    Raises:
        StorageError: a run is at work in the folder, or it cannot be written.
    """
    results = open_folder(wanted.results)
    place = f"{results.url.rpartition('/')[0]}/{CHECKPOINTS}"
    weights = open_folder(place)
    checkpoints = open_checkpoints(place)
    with driver_lock(wanted.results):
        now = find_spare(wanted.results)  # a run may have begun since the list was shown
        going = [one for one in wanted.spare if (one.kind, one.name) in {(two.kind, two.name) for two in now.spare}]
        for one in going:
            if one.kind == "weights":
                checkpoints.remove(one.name)
            elif one.kind == "training in progress":
                checkpoints.drop_snapshot(one.name)
            elif one.kind == "leftover of the study":
                results.delete(one.name)
            elif weights.path is not None:
                shutil.rmtree(weights.path / one.name, ignore_errors=True)
    return Cleaning(wanted.results, tuple(going))
