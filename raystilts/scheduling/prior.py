"""What a prediction changes of a run: intermediates alone before it, promising cells first after it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from raystilts.errors import UserError
from raystilts.study.plan import Plan


def only_intermediates(planned: Plan) -> Plan:
    """The plan without its targets: all intermediates, to the end, whose checkpoints stay."""
    stages = {key: stage for key, stage in planned.stages.items() if stage.kind == "intermediate"}
    study = planned.study.model_copy(update={"schedule": "full", "keep": "all"})
    return replace(planned, study=study, cells=(), cell_stages=(), stages=stages)


def promising_first(planned: Plan, path: Path) -> dict[str, int]:
    """The place of each target stage by a prediction: 1 for the arm that is ranked first for its target, and so on.

    It decides which stages run first, and nothing else: all of them run, or those that the schedule asks for.

    Args:
        path: What `raystilts predict STUDY --json` wrote.

    Raises:
        UserError: It cannot be read, or ranks no arm of this plan.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [(str(r["target"]), str(r["intermediate"]), float(r["logme"])) for r in found["predictions"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"--first {path}: expected the output of raystilts predict STUDY --json > {path}") from None
    ranked: dict[str, list[str]] = defaultdict(list)
    for target, arm, _ in sorted(rows, key=lambda row: -row[2]):
        ranked[target].append(arm)
    places = {}
    for key, stage in planned.stages.items():
        arms = ranked.get(str(stage.target), [])
        if stage.kind == "target" and stage.intermediate.label in arms:
            places[key] = 1 + arms.index(stage.intermediate.label)
    if not places:
        raise UserError(f"--first {path}: it ranks no arm and target of this study; predict with the same study file")
    # What is not ranked comes last; the intermediates that all start from come before any of them.
    last = 1 + max(places.values())
    targets = (key for key, stage in planned.stages.items() if stage.kind == "target")
    return dict.fromkeys(targets, last) | places
