"""What the ledger holds of a search: the reports of its trials, oldest first.

What a search has found so far, from its ledger.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raystilts.errors import UserError
from raystilts.planning.resolve import resolve
from raystilts.planning.stages import Stage
from raystilts.results.ledger import Ledger
from raystilts.results.results import Results
from raystilts.results.schema import RunRow
from raystilts.scheduling.trial_board import Report, latest
from raystilts.study.schema import Study
from raystilts.study.search import Range, Space, Value
from raystilts.tasks.registry import get_task
from raystilts.tuning.outcome import UnitOutcome, outcome
from raystilts.tuning.sampler import Observed
from raystilts.tuning.trials import ARM, Unit, settings, space_of, trial_stages, trial_study, units

Curves = Mapping[tuple[str, int], Mapping[int, float]]
_FINAL = -1


def trial_reports(study: Study, results: str | Path) -> dict[Unit, list[Report]]:
    """The reports of every unit's trials; rows that are no trials of this search are left out.

    A row is a trial if its values lie in the search's ranges and everything else is as the study has it: the stage that
    follows from them has the row's key.
    """
    rows = sorted(Ledger(results).rows(), key=lambda row: row.ended_at)
    curves = _curves(study, results)
    last = {row.stage: row.attempt for row in rows}
    found: dict[Unit, list[Report]] = {}
    for unit in units(study):
        space = space_of(study, unit)
        own = [row for row in rows if _concerns(row, unit) and row.status != "stopped"]
        found[unit] = []
        for row in own:
            values = _values(row, space)
            if values is None or (row.status == "failed" and row.attempt < last[row.stage]):
                continue
            stage = trial_stages(study, unit, values)[-1]
            if stage.key == row.stage:
                found[unit].append(_report(row, values, curves, stage, study))
    return found


def trials(study: Study, results: str | Path) -> dict[Unit, list[Observed]]:
    """Each trial as it stands, for sums and tables; a trial whose stage was stopped by the search counts as stopped."""
    stopped = Ledger(results).stopped(study.name).keys()
    found: dict[Unit, list[Observed]] = {}
    for unit, reports in trial_reports(study, results).items():
        found[unit] = [
            Observed(one.values, "stopped", one.value, one.share)
            if one.state == "paused" and trial_stages(study, unit, one.values)[-1].key in stopped
            else one
            for one in latest(reports)
        ]
    return found


def device_hours(rows: Iterable[RunRow]) -> float:
    """Hours of a device that attempts took."""
    return sum(row.seconds * row.device_share for row in rows) / 3600


def _concerns(row: RunRow, unit: Unit) -> bool:
    if unit.role == "intermediate":
        return row.kind == "intermediate" and row.intermediate == unit.name
    return row.kind == "target" and row.target == unit.name


def _values(row: RunRow, space: Space) -> dict[str, Value] | None:
    """The searched values of a row; None where one lies outside its range."""
    given = {**json.loads(row.hyperparameters), ARM: row.intermediate}
    values = {name: _canonical(one, given.get(name)) for name, one in space.items()}
    found = {name: value for name, value in values.items() if value is not None and space[name].holds(value)}
    return found if len(found) == len(space) else None


def _canonical(one: Range, value: Value | None) -> Value | None:
    """A value of the ledger as its range has it: whole numbers come back as 3.0 where a field takes any number."""
    if one.form == "int" and isinstance(value, float) and value % 1 == 0:
        return int(value)
    if one.form == "choice":
        return next((v for v in one.values if v == value and isinstance(v, bool) == isinstance(value, bool)), value)
    return value


def _report(row: RunRow, values: Mapping[str, Value], curves: Curves, stage: Stage, study: Study) -> Report:
    if row.status == "failed":
        return Report(values, 1.0, None)
    curve = curves.get((row.stage, row.attempt), {})
    if row.status == "finished":
        return Report(values, 1.0, curve.get(_FINAL))
    share = row.rung if row.rung is not None else 1.0
    return Report(values, share, curve.get(study.evaluation.rung(share, stage.steps)))


def _curves(study: Study, results: str | Path) -> Curves:
    """Each attempt's score on dev by step, and that of its final weights."""
    metric = settings(study).metric
    languages = _languages(study)
    points: dict[tuple[str, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    columns = ["stage", "attempt", "kind", "target", "step", "language", "metric", "value", "is_main", "is_final"]
    frame = Results(results).dev_curves()[columns]
    for stage, attempt, kind, task, step, language, name, value, is_main, is_final in frame.itertuples(index=False):
        if language not in languages.get((kind, task), ()) or not (is_main if metric is None else name == metric):
            continue
        points[stage, attempt][step].append(value)
        if is_final:
            points[stage, attempt][_FINAL].append(value)
    return {key: {step: math.fsum(v) / len(v) for step, v in steps.items()} for key, steps in points.items()}


def _languages(study: Study) -> dict[tuple[str, str], Sequence[str]]:
    """The languages whose dev scores count, by kind of stage and scored task."""
    found: dict[tuple[str, str], Sequence[str]] = {}
    for arm in resolve(study).arms:
        for one in arm.tasks:
            found["intermediate", one.task.name] = one.dev_languages
    for unit in units(study):
        if unit.role == "target":
            variant = resolve(trial_study(study, unit, {}))
            found["target", unit.name] = variant.targets[0].picking_languages
    return found


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
