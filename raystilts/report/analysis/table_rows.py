"""Answers as rows for CSV and JSON, and numbers as people read them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raystilts.analysis.power_law import Estimate
from raystilts.errors import UserError

Row = dict[str, Any]


def points(value: float | None, width: int = 0) -> str:
    """A share as signed points: 0.012 is `+1.2`; `-` where it is not known."""
    text = "-" if value is None or not math.isfinite(value) else f"{100 * value:+.1f}"
    return f"{text:>{width}}"


def bounds(low: float | None, high: float | None) -> str:
    """An interval of a share in points; empty where it is not known. No gain of scores is beyond 100."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{_end(low)}, {_end(high)}]"


def _end(value: float) -> str:
    return f"{100 * value:+.1f}" if abs(value) < 1 else f"{math.copysign(100, value):+.0f}"


def number(value: float) -> str:
    """A size as people read it: 12,000 examples or a share of 0.25."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.3g}"


def p_text(p: float | None) -> str:
    """A p-value; empty where there is none."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def spread(name: str, estimate: Estimate | None) -> Row:
    """The three columns of an estimate."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def write_csv(rows: Sequence[Row], path: Path, option: str = "--csv") -> None:
    """Writes rows that share their keys; numbers that are not known are empty.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror}); give another file") from None


def to_json(answer: Any) -> str:
    """JSON; numbers that are not known are null."""
    return json.dumps(_plain(answer), indent=1)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.8g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
