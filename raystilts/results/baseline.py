"""What the arm `none` of a results folder is called where people read it.

In tables it is `none`, whatever it was called in a table from elsewhere. `import --baseline qnli` takes `qnli` for it;
that name then stands in answers, so that nobody looks for an arm that is not in the own table.
"""

from __future__ import annotations

import json

from raystilts.filesystem import Folder

FILE = "baseline.json"
NONE = "none"


def read_baseline(folder: Folder) -> str:
    """The name of the baseline; `none` unless another was given."""
    try:
        found = json.loads(folder.read(FILE))["name"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return NONE
    return found if isinstance(found, str) and found else NONE


def write_baseline(folder: Folder, name: str) -> None:
    """Keeps the name of the baseline beside the tables.

    Raises:
        StorageError: The folder cannot be written.
    """
    if name != read_baseline(folder):
        folder.write(FILE, json.dumps({"name": name}).encode(), overwrite=True)
