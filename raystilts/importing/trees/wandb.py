"""Weights & Biases: folders ``run-<date>-<id>/files`` with ``config.yaml`` and ``wandb-summary.json``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from raystilts.importing.plain import flat, is_number
from raystilts.importing.trees.layout import Found, Layout, Record, load_json, relative


def _read(found: Found, marks: Sequence[Path], every: Sequence[Path]) -> None:
    offline = [
        path for path in every if path.suffix == ".wandb" and not (path.parent / "files/wandb-summary.json").is_file()
    ]
    if offline:
        found.said.append(
            f"{len(offline)} runs that were never synchronised, left out (wandb sync), such as "
            f"{relative(found.root, offline[0])}"
        )
    for path in marks:
        if "latest-run" in path.parts:
            continue
        summary = load_json(path)
        if not isinstance(summary, dict):
            found.leave_out("not readable", path)
            continue
        config = _config(path.parent / "config.yaml")
        found.files += [one for one in (path, path.parent / "config.yaml") if one.is_file()]
        own = {k: v for k, v in summary.items() if not k.startswith("_")}
        for name, value in flat(own).items():
            if is_number(value) and name not in config:
                found.add(path, {**config, "metric": name, "value": value})


def _config(path: Path) -> Record:
    """Settings: each under its name as `value`, those of W&B itself left out."""
    try:
        data: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    if not isinstance(data, dict):
        return {}
    values = {name: one["value"] if isinstance(one, dict) and "value" in one else one for name, one in data.items()}
    return flat({name: value for name, value in values.items() if not name.startswith(("_", "wandb_"))})


LAYOUT = Layout("Weights & Biases run folders", lambda path: path.name == "wandb-summary.json", _read)
