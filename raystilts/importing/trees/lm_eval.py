"""lm-evaluation-harness, ``--output_path``: ``<model>/results_<date>.json`` and ``samples_<task>_<date>.jsonl``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raystilts.importing.kinds import direction
from raystilts.importing.plain import is_number
from raystilts.importing.trees.layout import Found, Layout, Record, json_lines, load_json

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T.+)\.jsonl")


def _is_mark(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    usual = path.name.startswith("results") or "_20" in path.name
    data = load_json(path) if usual or _begins_with_results(path) else None
    return (
        isinstance(data, dict) and isinstance(data.get("results"), dict) and bool({"configs", "versions"} & data.keys())
    )


def _begins_with_results(path: Path) -> bool:
    """Whether a file of another name (`<model>_xcopa_0-shot.json`) is worth reading: most JSON of a tree is not."""
    try:
        with path.open("rb") as stream:
            return b"results" in stream.read(64).split(b'"')[:2]
    except OSError:
        return False


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    found.said.append(
        "models are the arms (intermediate); standard errors over items are no spread between runs: unused"
    )
    newest: dict[tuple[str, str], tuple[str, Path, dict[str, Any]]] = {}
    older = 0
    for path in marks:
        data = load_json(path)
        found.files.append(path)
        model = _model(data, path)
        groups = {name for name, parts in (data.get("group_subtasks") or {}).items() if parts} & data["results"].keys()
        if groups:
            found.said.append(f"averages over groups of tasks left out: {', '.join(sorted(groups)[:5])}")
        for task in data["results"].keys() - groups:
            date = str(data.get("date") or path.stem)
            older += (model, task) in newest
            newest[model, task] = max(
                (date, path, data), newest.get((model, task), ("", path, data)), key=lambda x: x[0]
            )
    if older:
        found.said.append(f"{older} results of earlier runs of the same model and task left out: the latest counts")
    lower: set[str] = set()
    for (model, task), (_, path, data) in sorted(newest.items(), key=lambda one: one[0]):
        better = (data.get("higher_is_better") or {}).get(task) or {}
        examples = ((data.get("n-samples") or {}).get(task) or {}).get("effective", 0)
        for key, value in data["results"][task].items():
            metric, _, kept = key.partition(",")
            if not is_number(value) or metric.endswith("_stderr") or metric in ("sample_len", "samples"):
                continue
            if better.get(metric) is False and direction(metric) is None:
                lower.add(metric)
                continue
            name = metric if kept in ("", "none") else key
            score: Record = {"metric": name, "value": value, "examples": examples}
            found.add(path, {"intermediate": model, "target": task, **score})
    if lower:
        found.said.append(f"left out (lower is better): {', '.join(sorted(lower))}")
    _add_samples(found, newest, every)


def _model(data: dict[str, Any], path: Path) -> str:
    config = data.get("config") or {}
    arguments = config.get("model_args") or ""
    pairs = arguments if isinstance(arguments, dict) else dict(
        part.split("=", 1) for part in str(arguments).split(",") if "=" in part
    )  # fmt: skip
    named = pairs.get("peft") or data.get("model_name") or pairs.get("pretrained") or pairs.get("model")
    return str(named or data.get("model_name_sanitized") or path.parent.name)


def _add_samples(
    found: Found, newest: dict[tuple[str, str], tuple[str, Path, dict[str, Any]]], every: Sequence[Path]
) -> None:
    """Scores of single documents, of the same run as the result."""
    for path in every:
        match = _SAMPLES.fullmatch(path.name)
        if not match:
            continue
        own = [(key, one) for key, one in newest.items() if key[1] == match["task"] and one[1].parent == path.parent]
        own = [one for one in own if match["date"] in one[1][1].name] or ([] if len(own) != 1 else own)
        if not own:
            found.leave_out("samples without their result", path)
            continue
        (model, task), _ = own[0]
        found.files.append(path)
        for line in json_lines(path):
            if isinstance(line, dict) and "doc_id" in line:
                kept = line.get("filter", "none")
                for metric in line.get("metrics") or [name for name in line if direction(name) == "higher"]:
                    if is_number(line.get(metric)) or isinstance(line.get(metric), bool):
                        found.items.append(
                            {"intermediate": model, "target": task, "item": str(line["doc_id"]), "language": "en",
                             "metric": metric if kept == "none" else f"{metric},{kept}", "split": "test", "seed": 0,
                             "value": float(line[metric])}
                        )  # fmt: skip


LAYOUT = Layout("lm-evaluation-harness results", _is_mark, _read)
