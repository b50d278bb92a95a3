"""Hugging Face Trainer: ``all_results.json``, ``eval_results.json``, ``predict_results.json``, ``trainer_state.json``.

Which task it was stands in the names of the folders (--path); checkpoints of a run are left out. ``training_args.bin``
is a pickle and is never opened.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raystilts.importing.kinds import direction, without_split
from raystilts.importing.plain import is_number
from raystilts.importing.reading import FILE
from raystilts.importing.trees.layout import Found, Layout, Record, json_lines, load_json, relative

_RESULTS = ("all_results.json", "eval_results.json", "test_results.json", "predict_results.json")
_MARKS = (*_RESULTS, "trainer_state.json")
_CHECKPOINT = re.compile(r"checkpoint-\d+")


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    folders: dict[Path, list[Path]] = {}
    for path in marks:
        folders.setdefault(path.parent, []).append(path)
    for folder, files in folders.items():
        if _CHECKPOINT.fullmatch(folder.name) and folder.parent in folders:
            continue
        found.files += files
        _read_run(found, folder, files)
        _add_predictions(found, folder, every)


def _read_run(found: Found, folder: Path, files: list[Path]) -> None:
    state = load_json(folder / "trainer_state.json")
    last = int(state.get("global_step") or 0) if isinstance(state, dict) else 0
    about = _about(folder)
    final: dict[str, tuple[float, Path]] = {}
    for name in reversed(_RESULTS):
        data = load_json(folder / name) if folder / name in files else None
        if isinstance(data, dict):
            final |= {key: (float(value), folder / name) for key, value in data.items() if is_number(value)}
    for key, (value, path) in final.items():
        if _is_score(key):
            found.add(path, {**about, "metric": key, "value": value, "step": last})
    if folder / "trainer_state.json" not in files:
        return
    if not isinstance(state, dict):
        found.leave_out("not readable", folder / 'trainer_state.json')
        return
    there = set()
    for entry in state.get("log_history") or []:
        step = int(entry.get("step") or 0)
        for key, value in entry.items():
            if is_number(value) and key.startswith(("eval_", "test_", "predict_")) and _is_score(key):
                if (key in final and step >= last) or (key, step) in there:
                    continue
                there.add((key, step))
                found.add(
                    folder / "trainer_state.json", {**about, "metric": key, "value": float(value), "step": step}
                )


def _is_score(key: str) -> bool:
    metric, split = without_split(key)
    return split not in (None, "train") and direction(metric) != "cost"


def _about(folder: Path) -> Record:
    """The model of the run, where it says so."""
    config: Any = load_json(folder / "config.json")
    names = {"finetuning_task": "target", "_name_or_path": "started_from"}
    if not isinstance(config, dict):
        return {}
    return {
        ours: config[theirs] for theirs, ours in names.items() if isinstance(config.get(theirs), str) and config[theirs]
    }


def _add_predictions(found: Found, folder: Path, every: Sequence[Path]) -> None:
    """Predictions with whether they are right, one JSON object a line with `prediction` and `label`."""
    for path in every:
        if path.parent == folder and path.name in ("predictions.jsonl", "predict_predictions.jsonl"):
            lines = [line for line in json_lines(path) if isinstance(line, dict)]
            if lines and all("prediction" in line and "label" in line for line in lines):
                found.files.append(path)
                found.items += [
                    {"item": str(line.get("id", i)), "metric": "accuracy", "split": "test", "language": "en",
                     "value": float(line["prediction"] == line["label"]), FILE: relative(found.root, path)}
                    for i, line in enumerate(lines)
                ]  # fmt: skip


LAYOUT = Layout("Hugging Face Trainer folders", lambda path: path.name in _MARKS, _read)
