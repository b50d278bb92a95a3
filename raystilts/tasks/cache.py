"""What is kept here of data from elsewhere: within the hub's cache, so that clearing that clears this."""

from __future__ import annotations

import uuid
from pathlib import Path


def place(*parts: str) -> Path:
    """Where something is kept, or would be."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, ".raystilts", *parts)


def keep(path: Path, content: bytes) -> None:
    """Writes a file of a cache that others may share: whole or not at all, and for them to read as the umask says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:  # a full disk, an interrupt: nothing half-written stays
        temporary.unlink(missing_ok=True)
        raise
