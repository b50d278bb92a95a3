"""MLflow: the file store (``<experiment>/<run>/meta.yaml`` with metrics and params), or a SQLite database of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from raystilts.importing.trees.layout import Found, Layout, Record

#: Numbers of states in meta.yaml.
_STATUS = {1: "running", 2: "scheduled", 3: "finished", 4: "failed", 5: "killed"}
_SQLITE = b"SQLite format 3\x00"


def _is_mark(path: Path) -> bool:
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        with path.open("rb") as stream:
            return stream.read(16) == _SQLITE and _is_store(path)
    return path.name == "meta.yaml" and (path.parent / "metrics").is_dir()


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    for path in marks:
        found.files.append(path)
        if path.name != "meta.yaml":
            _read_database(found, path)
            continue
        meta: Any = yaml.safe_load(path.read_text("utf-8")) or {}
        if meta.get("lifecycle_stage") == "deleted":
            found.leave_out("deleted", path.parent)
            continue
        params = {one.relative_to(path.parent / "params").as_posix(): one.read_text("utf-8").strip()
                  for one in sorted((path.parent / "params").rglob("*")) if one.is_file()}  # fmt: skip
        about: Record = {
            **params,
            "run_name": meta.get("run_name"),
            "status": _STATUS.get(meta.get("status"), "finished"),
        }
        for one in sorted((path.parent / "metrics").rglob("*")):
            if not one.is_file():
                continue
            found.files.append(one)
            name = one.relative_to(path.parent / "metrics").as_posix()
            # time, value, step; of several values at one step the last counts
            lines = [line.split() for line in one.read_text("utf-8").splitlines() if line.strip()]
            values = {int(line[2]) if len(line) > 2 else 0: float(line[1]) for line in lines if len(line) > 1}
            for step, value in values.items():
                found.add(one, {**about, "metric": name, "value": value, "step": step})


def _is_store(path: Path) -> bool:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    return {"runs", "metrics", "params", "latest_metrics"} <= tables


def _read_database(found: Found, path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        runs = connection.execute("select run_uuid, name, status from runs where lifecycle_stage = 'active'").fetchall()
        params: dict[str, Record] = {}
        for key, value, run in connection.execute("select key, value, run_uuid from params"):
            params.setdefault(run, {})[key] = value
        metrics: dict[str, dict[tuple[str, int], float]] = {}
        query = "select key, value, step, run_uuid from metrics where not is_nan order by timestamp"
        for key, value, step, run in connection.execute(query):
            metrics.setdefault(run, {})[key, step] = value
    for run, name, status in runs:
        about = {**params.get(run, {}), "run_name": name, "status": str(status).lower()}
        for (key, step), value in metrics.get(run, {}).items():
            found.add(path, {**about, "metric": key, "value": value, "step": step})


LAYOUT = Layout("MLflow store", _is_mark, _read)
