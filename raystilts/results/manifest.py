"""Which raw files have been merged into which compacted ones.

Manifests are numbered and each is created only if absent, so that of two compactions that run at
the same time one loses and starts again (an object store has no rename and no lock). The highest
number is the current one.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field

from raystilts.errors import StorageError
from raystilts.results.filesystem import Folder
from raystilts.results.schema import SCHEMA_VERSION, Table, distrust_version

COMPACTED = "compacted"
TABLES: tuple[Table, ...] = ("runs", "scores", "decisions")
_NAME = re.compile(r"manifest-(\d{8,})\.json")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of compaction.

    Attributes:
        generation: Number of this manifest; 0 where nothing has been compacted.
        parts: Compacted files that hold a table, names inside ``compacted/``. Beside every file of
            scores there may be one of its final scores, see `finals_name`.
        consumed: Raw files whose rows are in `parts`. They stay listed after they are deleted,
            so that their attempt numbers are never given again.
    """

    generation: int = 0
    parts: dict[Table, list[str]] = field(default_factory=lambda: {t: [] for t in TABLES})
    consumed: dict[Table, list[str]] = field(default_factory=lambda: {t: [] for t in TABLES})


def finals_name(part: str) -> str:
    """Name of the file of final scores beside a compacted file of scores.

    Its columns have no version of their own: where they change, so does the name, and files of the old one are made
    anew from the scores.
    """
    return part.replace("scores", "final", 1)


def manifest_name(generation: int) -> str:
    """Name of a manifest inside ``compacted/``."""
    return f"manifest-{generation:08d}.json"


def generations(folder: Folder) -> list[int]:
    """Numbers of the manifests that are there, ascending."""
    names = folder.names(COMPACTED, "manifest-")
    return sorted(int(m[1]) for m in map(_NAME.fullmatch, names) if m)


def load_manifest(folder: Folder, known: Manifest | None = None) -> Manifest:
    """The current manifest.

    Args:
        known: The one that was current when last asked for; it is not read again if it still is.

    Raises:
        StorageError: It cannot be read. (Older ones are no substitute: the files they do not
            list may be gone.)
    """
    for _ in range(10):
        numbers = generations(folder)
        if not numbers:
            return Manifest()
        if known is not None and known.generation == numbers[-1]:
            return known
        name = f"{COMPACTED}/{manifest_name(numbers[-1])}"
        try:
            return _parse(folder.read(name))
        except FileNotFoundError:
            continue  # A newer one has been published and this one cleaned up.
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{folder.url}/{name} is not a manifest that can be read here ({error}). "
                "Restore it, or use the raystilts version that wrote it."
            ) from error
    raise StorageError(f"The manifests of {folder.url}/{COMPACTED} keep changing. Try again.")


def publish(folder: Folder, manifest: Manifest) -> bool:
    """Makes a manifest the current one; False if another writer has taken its number."""
    values = {"schema_version": SCHEMA_VERSION} | asdict(manifest)
    name = f"{COMPACTED}/{manifest_name(manifest.generation)}"
    return folder.write(name, json.dumps(values, indent=0).encode())


def _parse(data: bytes) -> Manifest:
    values = json.loads(data)
    unknown = distrust_version(str(values.pop("schema_version")))
    if unknown:
        raise ValueError(unknown)
    return Manifest(**values)
