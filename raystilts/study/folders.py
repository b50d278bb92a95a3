"""Where a study keeps what it makes: its tables, and the weights that it shares with others."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from raystilts.study.schema import Study


def results_folder(study: Study) -> str:
    """Where a study's tables are: `<storage_path>/<study name>`, an absolute path or a URI."""
    return f"{_base(study.storage_path)}/{study.name}"


def checkpoints_folder(study: Study) -> str:
    """Where the weights are that studies below one `storage_path` share."""
    return f"{_base(study.storage_path)}/checkpoints"


def _base(storage_path: str) -> str:
    if storage_path.startswith("file://"):
        return unquote(urlsplit(storage_path).path).rstrip("/")
    if "://" in storage_path:
        return storage_path.rstrip("/")
    return str(Path(storage_path).expanduser().absolute())
