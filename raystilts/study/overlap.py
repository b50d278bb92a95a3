"""Which arms train on a target's own data."""

from __future__ import annotations

from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import shares_training_data


def overlaps(study: Study) -> tuple[tuple[str, str], ...]:
    """Pairs of an arm and a target whose own training data it trains on, in the order of the study file."""
    return tuple(
        (arm.label, target.task)
        for arm in study.intermediates
        for target in study.targets
        if any(shares_training_data(get_task(name), get_task(target.task)) for name in arm.tasks)
    )
