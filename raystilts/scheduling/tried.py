"""What was tried before a first stage and was sound, kept in the cache folder so that it is tried once a machine.

Whether an encoder opens and a kind of stage is sound hangs on the encoder's files, the stage, the device and the
programs. A run that finds all of them as they were begins without loading an encoder, which with transformers' modules
takes some five seconds. What failed is not kept.
"""

from __future__ import annotations

import hashlib
import json
import platform
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raystilts.planning.keys import digest
from raystilts.training.cache import cache_folder

#: Packages that results can depend on.
_PACKAGES = ("raystilts", "torch", "transformers", "tokenizers", "datasets", "ray", "numpy", "babel")
#: Packages besides that decide whether an encoder opens; peft need not be there.
_MORE = ("safetensors", "peft")


@cache
def versions() -> str:
    """Versions of what results can depend on, as JSON."""
    found = {name: version(name) for name in _PACKAGES}
    return json.dumps(found | {"python": platform.python_version()}, sort_keys=True)


@cache
def code_digest() -> str:
    """Hash of the package's own source files."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:32]


def notes_of(what: Sequence[str]) -> list[str] | None:
    """What there was to say of something that was tried and sound; None where it was not tried with these programs.

    Args:
        what: All that the outcome hangs on, but the programs.
    """
    try:
        notes = json.loads(_file(what).read_text(encoding="utf-8"))["notes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a cache: what cannot be read is tried again
    return notes if isinstance(notes, list) and all(isinstance(note, str) for note in notes) else None


def remember(what: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Keeps that something was tried and sound, and what there was to say; without a place to keep it, nothing."""
    file = _file(what)
    draft = file.with_name(f".{uuid.uuid4().hex}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"what": list(what), "notes": list(notes)}), encoding="utf-8")
        draft.replace(file)


def _file(what: Sequence[str]) -> Path:
    programs = [versions(), code_digest(), platform.machine(), *map(_version, _MORE)]
    return cache_folder() / "tried" / f"{digest([*programs, *what])}.json"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
