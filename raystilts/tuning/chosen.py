"""The file of chosen values that a search leaves, for grids to name under `hyperparameters: {from: FILE}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from raystilts.study.hyperparameters import Overrides
from raystilts.study.schema import Study
from raystilts.study.tuned import Evidence, Tuned, TunedTask
from raystilts.tuning.outcome import UnitOutcome
from raystilts.tuning.trials import ARM


def chosen(study: Study, outcomes: Sequence[UnitOutcome]) -> Tuned:
    """The best values of each unit that has any, with their evidence."""
    tasks = {one.unit.name: task for one in outcomes if (task := _task(one)) is not None}
    return Tuned(encoder=study.encoder.model_name_or_path, study=study.name, tasks=tasks)


def _task(one: UnitOutcome) -> TunedTask | None:
    if one.best is None or one.best.value is None:
        return None
    values = {name: value for name, value in one.best.values.items() if name != ARM}
    arm = one.best.values.get(ARM)
    evidence = Evidence(
        metric=one.metric,
        score=round(one.best.value, 4),
        next_best=tuple(round(score, 4) for score in one.next_best),
        trials=len(one.trials),
        stopped=one.count("stopped"),
        failed=one.count("failed"),
        converged=one.converged,
        importance=dict(one.importance),
        notes=one.notes,
    )
    return TunedTask(
        values=Overrides.model_validate(values), intermediate=None if arm is None else str(arm), evidence=evidence
    )


def chosen_text(study: Study, outcomes: Sequence[UnitOutcome]) -> str:
    """The file's text."""
    head = f"# What the search of study {study.name} chose. For a grid: hyperparameters: {{from: THIS_FILE}}\n"
    return head + yaml.safe_dump(_plain(chosen(study, outcomes)), sort_keys=False, allow_unicode=True, width=110)


def _plain(tuned: Tuned) -> dict[str, Any]:
    """As the file says it: values that were set, no empty fields."""
    found: dict[str, Any] = {"encoder": tuned.encoder, "study": tuned.study, "tasks": {}}
    for name, task in tuned.tasks.items():
        values = task.values.model_dump(mode="json", exclude_unset=True)
        evidence = {k: v for k, v in task.evidence.model_dump(mode="json").items() if v not in (None, [], {})}
        arm = {} if task.intermediate is None else {"intermediate": task.intermediate}
        found["tasks"][name] = {"values": values, **arm, "evidence": evidence}
    return found
