"""Tables that trackers export: settings under a prefix or all in one cell, curves with a column a run."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from raystilts.importing.kinds import direction
from raystilts.importing.plain import flat

_PREFIXES = ("params.", "config/", "config.", "metrics.", "summary/", "summary.")
#: MLflow's own.
_OWN = ("experiment_id", "artifact_uri", "start_time", "end_time")
_CURVE = re.compile(r"(?P<run>.+) - (?P<metric>[^-].*)")
_STEPS = ("step", "global_step", "epoch", "_step", "train/global_step", "trainer/global_step")


def exported(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A table of MLflow or of Weights & Biases with plain columns, and what was done; others as they are."""
    if isinstance(frame.columns, pd.MultiIndex):
        return frame, []
    names = [str(name) for name in frame.columns]
    curves = _curves(frame, names)
    if curves is not None:
        return curves, ["curves of Weights & Biases, a column a run: runs are taken for intermediate"]
    frame = _with_cells(frame)
    names = [str(name) for name in frame.columns]
    if not any(name.startswith(("params.", "config/", "config.")) for name in names):
        return frame, []
    said = []
    if any(name.startswith("params.") for name in names):
        own = [name for name in frame.columns if name in _OWN or str(name).startswith("tags.")]
        frame = frame.drop(columns=own)
        said.append("a table of MLflow: params and metrics are columns")
    short = {name: next((name[len(p) :] for p in _PREFIXES if str(name).startswith(p)), name) for name in frame.columns}
    once = {name: new for name, new in short.items() if list(short.values()).count(new) == 1}
    return frame.rename(columns=once), said


def _with_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Cells that hold an object (the API of Weights & Biases gives `config` and `summary` so) as columns."""
    for name in ("config", "summary"):
        if name not in frame.columns:
            continue
        cells = [_object(cell) for cell in frame[name]]
        if any(cells) and all(cell is not None for cell in cells):
            more = pd.DataFrame([_own(cell or {}) for cell in cells], index=frame.index).add_prefix(f"{name}/")
            frame = pd.concat([frame.drop(columns=name), more], axis=1)
    return frame


def _own(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flat(values).items() if not name.startswith("_")}


def _object(cell: object) -> dict[str, Any] | None:
    """A cell that is written as JSON or as Python writes it (read as a literal: no code runs)."""
    if isinstance(cell, dict):
        return cell
    if not isinstance(cell, str):
        return {} if pd.isna(cell) else None  # type: ignore[call-overload]
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _curves(frame: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame | None:
    """A chart's export: a step, and for each run a column `run - metric` with its extremes."""
    steps = [name for name in names if name.lower() in _STEPS]
    found = {name: match for name in names if (match := _CURVE.fullmatch(name)) and direction(match["metric"])}
    plain = {name: match for name, match in found.items() if not name.endswith(("__MIN", "__MAX"))}
    if not steps or not plain or len(found) + len(steps) < len(list(names)):
        return None
    parts = [
        pd.DataFrame(
            {"intermediate": match["run"], "metric": match["metric"], "step": frame[steps[0]], "value": frame[name]}
        )
        for name, match in plain.items()
    ]
    return pd.concat(parts, ignore_index=True)
