"""Files of a public repository on GitHub at a commit, for data that its authors publish there.

A commit's files never change, so each is fetched once and kept beside the hub's cache: a start on a warm cache asks
nothing, and works without a network.
"""

from __future__ import annotations

import os
import urllib.parse
import uuid
from pathlib import Path

from raystilts.errors import UserError

#: Where GitHub hands out files as they are.
FILES = "https://raw.githubusercontent.com"

#: A mirror to ask instead.
MIRROR = "RAYSTILTS_GITHUB"


def fetched(repository: str, commit: str, name: str) -> Path:
    """A file of a repository at a commit: kept from an earlier run, else fetched.

    Args:
        repository: ``owner/name``.
        commit: The commit's full hash.
        name: The file's path in the repository.

    Raises:
        UserError: If a web page comes in place of the file; it is not kept.
        OfflineModeIsEnabled: Of `huggingface_hub`, whose settings of the network hold here too.
        Exception: Of its HTTP client, where GitHub refuses or cannot be reached.
    """
    path = _place(repository, commit, name)
    if path.is_file():
        return path
    from huggingface_hub import constants, get_session  # proxies, certificates and HF_HUB_OFFLINE as for the hub

    base = (os.environ.get(MIRROR) or FILES).rstrip("/")
    url = f"{base}/{repository}/{commit}/{urllib.parse.quote(name)}"
    response = get_session().get(url, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    response.raise_for_status()
    if response.headers.get("Content-Type", "").startswith("text/html"):  # GitHub says text/plain, of .html too
        raise UserError(
            f"{repository}/{name}: {base} answers with a web page in place of the file; log in to the network, or set "
            "its proxy, and run again"
        )
    keep(path, response.content)
    return path


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


def is_kept(repository: str, commit: str, name: str) -> bool:
    """Whether a file was fetched before."""
    return _place(repository, commit, name).is_file()


def _place(repository: str, commit: str, name: str) -> Path:
    """Within the hub's cache, so that clearing that clears this."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / ".raystilts" / "github" / repository.replace("/", "--") / commit / name
