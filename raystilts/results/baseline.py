"""What the arm `none` of a results folder is called where people read it.

In tables it is `none`, whatever it was called in a table from elsewhere. `import --baseline qnli` takes `qnli` for it;
that name then stands in answers, so that nobody looks for an arm that is not in the own table.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from raystilts.filesystem import Folder

if TYPE_CHECKING:
    from raystilts.study.schema import Study

FILE = "baseline.json"
NONE = "none"


def without_runs(baseline: str, study: Study | None) -> str:
    """Why nothing has a gain where the baseline has no finished run, and what to do about it.

    Args:
        study: None for imported tables, in which another arm may be meant for the baseline.
    """
    remedy = ""
    if study is None:
        remedy = " (raystilts import --baseline NAME says which intermediate is none)"
    elif not any(arm.is_none for arm in study.intermediates):
        remedy = " (add none to the intermediates of the study, and run it again)"
    return f"{baseline} has no finished run{remedy}"


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
