"""What a search has found so far, from its ledger."""

from __future__ import annotations

from raystilts.errors import UserError
from raystilts.results.store import Results
from raystilts.scheduling.trial_history import trials
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tuning.outcome import UnitOutcome, outcome
from raystilts.tuning.trials import Unit, settings, space_of


def outcomes(results: Results, study: Study, unit: str | None = None) -> list[UnitOutcome]:
    """What the search has found so far, by unit.

    Args:
        unit: Only this intermediate or target.

    Raises:
        UserError: no such unit.
    """
    found = trials(study, results.folder.url)
    names = [one.name for one in found]
    if unit is not None and unit not in names:
        raise UserError(f"--target {unit}: not searched here; the search has {', '.join(names)}")
    examples = _examples(results)
    return [
        outcome(one, metric_name(study, one), space_of(study, one), observed, examples.get((one.role, one.name), 100))
        for one, observed in found.items()
        if unit in (None, one.name)
    ]


def _examples(results: Results) -> dict[tuple[str, str], int]:
    """Dev examples behind a score, by role and scored task: those of its smallest language."""
    frame = results.dev_curves()
    return {
        (str(kind), str(task)): int(rows["examples"].min()) for (kind, task), rows in frame.groupby(["kind", "target"])
    }


def metric_name(study: Study, unit: Unit) -> str:
    """What a unit's search maximises."""
    if settings(study).metric is not None:
        return str(settings(study).metric)
    if unit.role == "target":
        return get_task(unit.name).main_score
    arm = next(arm for arm in study.intermediates if arm.label == unit.name)
    return "/".join(dict.fromkeys(get_task(task).main_score for task in arm.tasks)) or "accuracy"
