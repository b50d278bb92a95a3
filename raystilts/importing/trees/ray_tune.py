"""Ray Tune: trial folders with ``result.json`` (a JSON line a report) and ``params.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raystilts.importing.plain import flat, is_number
from raystilts.importing.trees.layout import Found, Layout, json_lines, load_json

#: What Tune adds to every report.
_OWN = frozenset([
    "timestamp", "checkpoint_dir_name", "should_checkpoint", "done", "training_iteration", "trial_id", "date",
    "time_this_iter_s", "time_total_s", "pid", "hostname", "node_ip", "config", "time_since_restore",
    "iterations_since_restore", "experiment_tag", "timesteps_total", "episodes_total", "timesteps_since_restore",
    "warmup_time", "experiment_id", "trial_num", "auto_cancelled",
])  # fmt: skip


def _is_mark(path: Path) -> bool:
    return path.name == "params.json" or (path.name == "error.txt" and (path.parent / "params.json").is_file())


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    for folder in dict.fromkeys(path.parent for path in marks):
        params, results = folder / "params.json", folder / "result.json"
        config = flat(load_json(params) or {})
        found.files += [path for path in (params, results, folder / "error.txt") if path.is_file()]
        reports = list(json_lines(results)) if results.is_file() else []
        failed = (folder / "error.txt").is_file()
        number = 0
        for place, report in enumerate(reports, 1):
            step = int(report.get("training_iteration") or place)
            for name, value in flat({k: v for k, v in report.items() if k not in _OWN}).items():
                if is_number(value) and name not in config:
                    number += 1
                    found.add(results, {**config, "metric": name, "value": value, "step": step, "status": "ok"})
        if failed and not number:
            record = {**config, "metric": None, "value": None, "step": 0, "status": "failed"}
            found.add(folder / "error.txt", record)
        elif not number:
            found.leave_out("no result yet", folder)
    known = [r["metric"] for r in found.records if r["metric"]]
    for record in found.records:
        record["metric"] = record["metric"] or (known[0] if known else "score")


LAYOUT = Layout("Ray Tune results", _is_mark, _read)
