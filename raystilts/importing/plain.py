"""Settings and summaries as tools write them, as plain columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Objects in objects as one, names joined by slashes; lists and other things that are no plain values left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}/")
        elif isinstance(value, str | int | float | bool):
            found[name] = value
    return found


def is_number(value: object) -> bool:
    """Whether a value can be a score."""
    return isinstance(value, int | float) and not isinstance(value, bool)
