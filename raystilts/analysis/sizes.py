"""Sizes in training examples, where the study says of how much data a fraction is."""

from __future__ import annotations

from raystilts.analysis.size_curves import SizeOf
from raystilts.errors import UserError
from raystilts.study.amount import fraction_rows
from raystilts.study.data import StudyData
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task


def sizes_in_examples(study: Study | None) -> tuple[SizeOf, str]:
    """A function from a task (or mixture) and a fraction to training examples, and the unit's name.

    Without a study, or where its data cannot be looked up, the size is the fraction itself.
    """
    rows = {} if study is None else _rows(study)

    def in_examples(name: str, fraction: float) -> float:
        if name not in rows:
            raise UserError(f"the results hold {name!r}, which their study.json does not name; run the study again")
        return float(fraction_rows(rows[name], fraction))

    def as_share(name: str, fraction: float) -> float:
        return fraction

    return (in_examples, "examples") if rows else (as_share, "share of the data")


def _rows(study: Study) -> dict[str, int]:
    """Training examples of every intermediate and target at fraction 1; nothing where one is not known."""
    parts = {arm.label: arm.tasks for arm in study.intermediates if arm.tasks}
    parts |= {target.task: (target.task,) for target in study.targets if get_task(target.task).requires_training}
    try:
        data = StudyData(study)
        return {
            label: sum(data.training(get_task(name), study.hyperparameters.resolve(name)).rows for name in names)
            for label, names in parts.items()
        }
    except UserError:
        return {}
