"""Which weights each study claims: those below one `storage_path` are shared, and no study removes what another wants.

A study claims the weights that it keeps or still needs, and the trainings that it may go on with, in a file beside its
tables; with the folder its claims go.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.planning.cost import CHECKPOINTS
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.results.ledger import Ledger
from raystilts.results.schema import RunRow
from raystilts.results.study_file import read_study

if TYPE_CHECKING:
    from raystilts.training.checkpoints import Checkpoints  # which loads torch: who lists studies waits for it

CLAIMS_FILE = "weights.json"
_KINDS = frozenset(("intermediate", "target", "retrieval"))
#: Seconds for which the others' claims are taken as they were read.
FRESH_SECONDS = 10.0


def neighbours(results: str) -> Iterator[tuple[str, Folder]]:
    """The results folders of the other studies below the same `storage_path`, by name."""
    base, _, own = results.rpartition("/")
    for name in open_folder(base).names(""):
        folder = open_folder(f"{base}/{name}")
        if name not in (own, CHECKPOINTS) and folder.exists():
            yield name, folder


def wanted_weights(planned: Plan) -> set[str]:
    """The train keys of all weights that a run of a plan needs or keeps."""
    targets = planned.of_kind("target") if planned.study.keep_targets != "none" else ()
    return {stage.train_key for stage in (*planned.of_kind("intermediate"), *targets)}


def claims_of(folder: Folder, rows: Callable[[], Iterable[RunRow]] | None = None) -> set[str]:
    """The train keys that a study claims: what its last run wants, and all of a kind of which it keeps everything.

    Its last run may have been of a part of it (fewer seeds, what `next` has written), and weights that earlier runs
    trained stay all the same. Without its file (an older version wrote the folder), or where that cannot be read, the
    claims are those of all its runs that its settings do not give up: weights are rather kept too long than lost.

    Args:
        rows: Its ledger's rows; read from the folder by default.
    """
    claimed: set[str] = set()
    try:
        claimed = set(json.loads(folder.read(CLAIMS_FILE))["train_keys"])
        kinds = {kind for kind, keep in _kept(folder).items() if keep == "all"}
    except StorageError:
        return set()
    except FileNotFoundError:
        kinds = {*_KINDS} - {kind for kind, keep in _kept(folder).items() if keep == "none"}
    except (ValueError, KeyError, TypeError):
        kinds = {*_KINDS}
    if not kinds:
        return claimed
    try:
        return claimed | {row.train_key for row in (rows or Ledger(folder).rows)() if row.kind in kinds}
    except (StorageError, OSError, ValueError):
        return claimed


def _told(folder: Folder) -> bytes | None:
    """What a study's file of claims holds; None where it cannot be read."""
    try:
        return folder.read(CLAIMS_FILE)
    except (OSError, StorageError):
        return None


def _kept(folder: Folder) -> dict[str, str]:
    """What a study keeps of the weights of each kind of stage; empty where it cannot be read."""
    try:
        study = read_study(folder)
    except (UserError, StorageError):
        return {}
    return {} if study is None else {"intermediate": study.keep, "target": study.keep_targets}


def unfinished_of(folder: Folder) -> set[str] | None:
    """The train keys of the trainings that a study may go on with; None where it does not say.

    A search and an older version say nothing.
    """
    try:
        return set(json.loads(folder.read(CLAIMS_FILE))["unfinished"])
    except (OSError, ValueError, KeyError, TypeError, StorageError):
        return None


def trainings(stages: Iterable[Stage]) -> set[str]:
    """The keys under which the trainings of stages are kept while they are in progress."""
    return {stage.whole_key or stage.train_key for stage in stages if stage.steps}


@dataclass(slots=True)
class Claims:
    """The claims of one study, and what the others leave it to remove.

    Attributes:
        own: Train keys of the weights that this study claims.
        unfinished: Train keys of the trainings that it may go on with.
    """

    results: str
    checkpoints: Checkpoints
    own: set[str] = field(default_factory=set)
    unfinished: set[str] = field(default_factory=set)
    _others: set[str] = field(default_factory=set)
    _known: dict[str, tuple[bytes | None, set[str]]] = field(default_factory=dict)
    _read_at: float = float("-inf")

    def claim(self, train_keys: Iterable[str], unfinished: Iterable[str]) -> None:
        """Says which weights this study wants and what it may train, before it looks which are there."""
        self.own = set(train_keys)
        self.write(unfinished)

    def write(self, unfinished: Iterable[str]) -> None:
        """Says what of it is still wanted."""
        self.unfinished = set(unfinished)
        data = json.dumps({"train_keys": sorted(self.own), "unfinished": sorted(self.unfinished)}).encode()
        open_folder(self.results).write(CLAIMS_FILE, data, overwrite=True)

    def remove(self, train_key: str) -> None:
        """Removes weights that this study wants no more, unless another does."""
        self.own.discard(train_key)
        if train_key not in self._of_others():
            self.checkpoints.remove(train_key)

    def _of_others(self) -> set[str]:
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            self._others = set()
            for name, folder in neighbours(self.results):
                told = _told(folder)
                # A run writes its claims anew, and what it trains is among them: its ledger need not be read again.
                if told is None or self._known.get(name, (None, set()))[0] != told:
                    self._known[name] = told, claims_of(folder)
                self._others |= self._known[name][1]
            self._read_at = time.monotonic()
        return self._others
