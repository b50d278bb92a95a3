"""Files of a public repository on GitHub at a commit, for data that its authors publish there.

A commit's files never change, so each is fetched once and kept beside the hub's cache: a start on a warm cache asks
nothing, and works without a network.
"""

from __future__ import annotations

import os
import tempfile
import urllib.parse
from pathlib import Path

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
        OfflineModeIsEnabled: Of `huggingface_hub`, whose settings of the network hold here too.
        Exception: Of its HTTP client, where GitHub refuses or cannot be reached.
    """
    path = _place(repository, commit, name)
    if path.is_file():
        return path
    from huggingface_hub import get_session  # proxies, certificates and HF_HUB_OFFLINE as for the hub

    base = os.environ.get(MIRROR, FILES).rstrip("/")
    response = get_session().get(f"{base}/{repository}/{commit}/{urllib.parse.quote(name)}")
    response.raise_for_status()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(response.content)
    Path(file.name).replace(path)
    return path


def is_kept(repository: str, commit: str, name: str) -> bool:
    """Whether a file was fetched before."""
    return _place(repository, commit, name).is_file()


def _place(repository: str, commit: str, name: str) -> Path:
    """Within the hub's cache, so that clearing that clears this."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / ".raystilts" / "github" / repository.replace("/", "--") / commit / name
