"""What lies below a `storage_path`: studies, whether each is being run, and the bytes of what each has written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, RemoteFolder, open_folder
from raystilts.planning.cost import CHECKPOINTS
from raystilts.results.ledger import Ledger
from raystilts.results.reader import COMPACTED
from raystilts.results.schema import RunRow
from raystilts.results.study_file import FILE as STUDY_FILE
from raystilts.scheduling.claims import claims_of, unfinished_of
from raystilts.scheduling.lock import Owner, live_owner
from raystilts.scheduling.status import read_status

Kind = Literal["tables", "intermediates", "targets", "unfinished"]
_WEIGHTS: dict[str, Kind] = {"intermediate": "intermediates", "target": "targets"}
#: The folder among the weights with trainings that go on.
IN_PROGRESS = "in_progress"
#: The folders of tables; one of them says that a folder holds results.
_TABLES = ("runs", COMPACTED)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a folder: its name there, its bytes, and when it was written (UTC; None where nobody says)."""

    name: str
    size: int
    written: datetime | None


def files_below(folder: Folder) -> list[FoundFile]:
    """All files in a folder and the folders in it, hidden ones too.

    Raises:
        StorageError: an object store is not reached.
    """
    if isinstance(folder, RemoteFolder):
        return [FoundFile(name, int(one.get("size") or 0), _written(one)) for name, one in folder.below("").items()]
    assert folder.path is not None
    found = []
    for place, _, names in os.walk(folder.path):
        for path in (Path(place, name) for name in names):
            with suppress(OSError):  # it has gone meanwhile
                stat = path.lstat()
                name = path.relative_to(folder.path).as_posix()
                found.append(FoundFile(name, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)))
    return found


def _written(info: dict[str, object]) -> datetime | None:
    """When an object was written; each store has a name of its own for that."""
    for name in ("LastModified", "last_modified", "updated", "mtime", "created"):
        value = info.get(name)
        with suppress(ValueError):
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
            elif isinstance(value, int | float):
                value = datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None


@dataclass
class StoredStudy:
    """The results folder of one study.

    Attributes:
        folder: Its tables.
        files: All files in it.
    """

    name: str
    folder: Folder
    files: list[FoundFile]

    @cached_property
    def owner(self) -> Owner | None:
        """The driver at work in it."""
        return live_owner(self.folder)

    @cached_property
    def rows(self) -> list[RunRow]:
        """Its runs; none where they cannot be read."""
        with suppress(StorageError, OSError, ValueError):
            return Ledger(self.folder).rows()
        return []

    @cached_property
    def claims(self) -> set[str]:
        """Train keys of the weights that it claims."""
        return claims_of(self.folder, lambda: self.rows)

    @cached_property
    def unfinished(self) -> set[str] | None:
        """Train keys of the trainings that it may go on with; None where it does not say."""
        return unfinished_of(self.folder)

    @property
    def changed(self) -> datetime | None:
        """When anything in it was last written."""
        return max((one.written for one in self.files if one.written is not None), default=None)

    @property
    def state(self) -> str:
        """`running`, how its last run came to its end (`ended`, `stopped`, `killed`), or `not run here`."""
        if self.owner is not None:
            return "running"
        status = None
        with suppress(OSError, StorageError):
            status = read_status(self.folder)
        if status is None:
            return "ended" if self.unfinished is not None else "not run here"
        return "killed" if status.state in ("preparing", "running") else status.state


@dataclass
class Storage:
    """Everything below one `storage_path`.

    Attributes:
        studies: By name.
        weights: Bytes of kept weights, by train key.
        in_progress: Bytes of snapshots, by train key.
        hidden: What writers have begun under temporary names among the weights, with the newest time in it.
    """

    url: str
    studies: dict[str, StoredStudy]
    weights: Counter[str] = field(default_factory=Counter)
    in_progress: Counter[str] = field(default_factory=Counter)
    hidden: dict[str, list[FoundFile]] = field(default_factory=dict)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The kind of stage that has left each weights, by train key."""
        return {row.train_key: row.kind for study in self.studies.values() for row in study.rows if row.steps_done}

    def bytes_of(self, study: StoredStudy) -> dict[Kind, int]:
        """Bytes by kind; weights that several studies claim count with each of them.

        `unfinished` are snapshots, and weights of stages whose rows are missing.
        """
        found: Counter[Kind] = Counter()
        found["tables"] = sum(one.size for one in study.files)
        for key in study.claims & self.weights.keys():
            found[_WEIGHTS.get(self.kinds.get(key, ""), "unfinished")] += self.weights[key]
        found["unfinished"] += sum(self.in_progress[key] for key in study.unfinished or ())
        kinds: tuple[Kind, ...] = ("tables", "intermediates", "targets", "unfinished")
        return {kind: found[kind] for kind in kinds}

    @property
    def total(self) -> int:
        """All bytes, each once."""
        tables = sum(one.size for study in self.studies.values() for one in study.files)
        hidden = sum(one.size for files in self.hidden.values() for one in files)
        return tables + self.weights.total() + self.in_progress.total() + hidden


def read_storage(place: str) -> Storage:
    """Looks at a `storage_path`, or at one results folder as if it were alone there.

    Raises:
        UserError: there is nothing there.
        StorageError: it cannot be read.
    """
    base = open_folder(place)
    if not base.exists():
        raise UserError(f"{place}: no such folder; name a storage_path: one with results of studies in it")
    storage = Storage(base.url, {one.name: one for one in _studies(base)})
    for one in files_below(open_folder(f"{base.url}/{CHECKPOINTS}")):
        first, _, rest = one.name.partition("/")
        second = rest.partition("/")[0]
        hidden = next((part for part in (first, second) if part.startswith(".")), None)
        if hidden is not None:
            top = first if first == hidden else f"{first}/{hidden}"
            storage.hidden.setdefault(top, []).append(one)
        elif first == IN_PROGRESS:
            storage.in_progress[second] += one.size
        else:
            storage.weights[first] += one.size
    return storage


def _studies(base: Folder) -> Iterator[StoredStudy]:
    for name in base.names(""):
        folder = open_folder(f"{base.url}/{name}")
        if name == CHECKPOINTS or (folder.path is not None and not folder.path.is_dir()):
            continue
        files = files_below(folder)
        if any(one.name == STUDY_FILE or one.name.partition("/")[0] in _TABLES for one in files):
            yield StoredStudy(name, folder, files)
