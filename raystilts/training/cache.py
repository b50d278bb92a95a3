"""The folder of what is made once a machine: features, tokenizers, copies of checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

from raystilts.filesystem import absolute_path


def cache_folder() -> Path:
    """`RAYSTILTS_CACHE_DIR`, else `~/.cache/raystilts`.

    Raises:
        UserError: there is no home folder.
    """
    return absolute_path(os.environ.get("RAYSTILTS_CACHE_DIR", "~/.cache/raystilts"))
