"""Names of stages: hashes of whatever determines their outcome, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: Raised when the meaning of the training or evaluation code changes, so that older rows are not taken for new ones.
TRAIN_RECIPE = 2
EVAL_RECIPE = 1


def digest(value: Any) -> str:
    """32 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
