"""jiant 2: ``val_metrics.json`` of a run, beside ``args.json`` or ``simple_run_config.json``.

Predictions are torch pickles (``val_preds.p``), which are never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from raystilts.importing.kinds import is_language
from raystilts.importing.plain import is_number
from raystilts.importing.trees.layout import Found, Layout, Record, load_json


def _is_mark(path: Path) -> bool:
    data = load_json(path) if path.name == "val_metrics.json" else None
    return isinstance(data, dict) and "aggregated" in data


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    if any(path.name.endswith("_preds.p") for path in every):
        found.said.append("predictions (*_preds.p) are pickles, which run code when opened: left alone")
    for path in marks:
        data = load_json(path)
        found.files.append(path)
        about = _about(path.parent, found.files)
        for task, results in data.items():
            metrics = results.get("metrics") if isinstance(results, dict) else None
            if not isinstance(metrics, dict):
                continue
            minor = {name: value for name, value in (metrics.get("minor") or {}).items() if is_number(value)}
            if is_number(metrics.get("major")) and (len(minor) != 1):
                minor["major"] = metrics["major"]
            name, language = _language(task)
            for metric, value in minor.items():
                score: Record = {"language": language, "split": "dev", "metric": metric, "value": float(value)}
                found.add(path, {**about, "target": name, **score})
        if len(data) < 2:
            found.leave_out("no task in it", path)


def _about(folder: Path, files: list[Path]) -> Record:
    about: Record = {}
    for name in ("simple_run_config.json", "args.json"):
        config: Any = load_json(folder / name)
        if not isinstance(config, dict):
            continue
        files.append(folder / name)
        if isinstance(config.get("hf_pretrained_model_name_or_path"), str):
            about["encoder"] = config["hf_pretrained_model_name_or_path"]
        if is_number(config.get("seed")) and config["seed"] >= 0:
            about["seed"] = int(config["seed"])
        if is_number(config.get("learning_rate")):
            about["learning_rate"] = config["learning_rate"]
        weights = config.get("model_path") or config.get("model_weights_path")
        if weights:
            about["intermediate"] = _started_from(str(weights))
    return about


def _started_from(weights: str) -> str:
    """The run that made the weights; none for those of the hub, which jiant keeps as ``<model>/model/model.p``."""
    path = PurePosixPath(weights.replace("\\", "/"))
    if path.name in ("model.p", "pytorch_model.bin") or path.parent.name == "model":
        return "none"
    return path.parent.name or "none"


def _language(task: str) -> tuple[str, str]:
    """Task and language: jiant has a task for each, such as ``xnli_de``."""
    name, _, code = task.rpartition("_")
    return (name, code) if name and is_language(code) else (task, "en")


LAYOUT = Layout("jiant run folders", _is_mark, _read)
