"""What a search has found so far, from its ledger. Reading it runs no task file: the folder says what its tasks are."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raystilts.errors import UserError
from raystilts.results.ledger import Ledger
from raystilts.results.reader import json_column
from raystilts.results.results import Results
from raystilts.results.schema import RunRow
from raystilts.results.task_facts import KnownTasks, TaskFacts
from raystilts.scheduling.record import WORKER_DIED
from raystilts.scheduling.trial_board import Report, latest
from raystilts.study.schema import Study
from raystilts.study.search import Range, Space, Value
from raystilts.tuning.outcome import UnitOutcome, outcome
from raystilts.tuning.sampler import Observed, values_key
from raystilts.tuning.trials import ARM, Unit, settings, space_of, trial_stages, units

Curves = Mapping[tuple[str, int], Mapping[int, float]]
_FINAL = -1


def trial_reports(study: Study, results: str | Path) -> dict[Unit, list[Report]]:
    """The reports of every unit's trials; rows that are no trials of this search are left out.

    A row is a trial if its values lie in the search's ranges and everything else is as the study has it: the stage that
    follows from them has the row's key. Where the study's tasks are not known here, its name has to do.
    """
    study = study.model_copy(update={"task_files": ()})  # whoever runs the study has run them
    rows = sorted(Ledger(results).rows(), key=lambda row: row.ended_at)
    loaded = Results(results)
    tasks = loaded.tasks()
    curves = _curves(study, loaded, tasks)
    last = {row.stage: row.attempt for row in rows}
    found: dict[Unit, list[Report]] = {}
    for unit in units(study, lambda name: (task := tasks.get(name)) is None or task.trains):
        space = space_of(study, unit)
        own = [row for row in rows if _concerns(row, unit) and row.status != "stopped"]
        found[unit] = []
        for row in own:
            values = _values(row, space)
            if values is None or (row.status == "failed" and row.attempt < last[row.stage]):
                continue
            if _is_trial(study, unit, values, row):
                found[unit].append(_report(row, values, curves, study))
    return found


def _is_trial(study: Study, unit: Unit, values: Mapping[str, Value], row: RunRow) -> bool:
    try:
        return trial_stages(study, unit, values)[-1].key == row.stage
    except UserError:
        return row.study == study.name


def trials(study: Study, results: str | Path) -> dict[Unit, list[Observed]]:
    """Each trial as it stands, for sums and tables; a trial whose stage was stopped by the search counts as stopped."""
    stopped = Ledger(results).stopped(study.name).keys()
    found: dict[Unit, list[Observed]] = {}
    for unit, reports in trial_reports(study, results).items():
        stages = {values_key(report.values): report.stage for report in reports}
        found[unit] = [
            Observed(one.values, "stopped", one.value, one.share)
            if one.state == "paused" and stages[values_key(one.values)] in stopped
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
    given = {**json_column(row.hyperparameters, dict), ARM: row.intermediate}
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


def _report(row: RunRow, values: Mapping[str, Value], curves: Curves, study: Study) -> Report:
    if row.status == "failed":
        return Report(values, 1.0, None, row.stage, lost=row.stop_reason == WORKER_DIED)
    curve = curves.get((row.stage, row.attempt), {})
    if row.status == "finished":
        return Report(values, 1.0, curve.get(_FINAL), row.stage)
    share = row.rung if row.rung is not None else 1.0
    return Report(values, share, curve.get(study.evaluation.rung(share, row.steps_planned)), row.stage)


def _curves(study: Study, results: Results, tasks: KnownTasks) -> Curves:
    """Each attempt's score on dev by step, and that of its final weights."""
    metric = settings(study).metric
    languages = _languages(study, tasks)
    points: dict[tuple[str, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    columns = ["stage", "attempt", "kind", "target", "step", "language", "metric", "value", "is_main", "is_final"]
    frame = results.dev_curves()[columns]
    for stage, attempt, kind, task, step, language, name, value, is_main, is_final in frame.itertuples(index=False):
        wanted = languages.get((kind, task), ())
        if (wanted is not None and language not in wanted) or not (is_main if metric is None else name == metric):
            continue
        points[stage, attempt][step].append(value)
        if is_final:
            points[stage, attempt][_FINAL].append(value)
    return {key: {step: math.fsum(v) / len(v) for step, v in steps.items()} for key, steps in points.items()}


def _languages(study: Study, tasks: KnownTasks) -> dict[tuple[str, str], Sequence[str] | None]:
    """The languages whose dev scores count, by kind of stage and scored task; None for all, of an unknown task."""
    found: dict[tuple[str, str], Sequence[str] | None] = {}
    for name in {name for arm in study.intermediates for name in arm.tasks}:
        found["intermediate", name] = _picking(tasks.get(name), ())
    for target in study.targets:
        task = tasks.get(target.task)
        others = (target.languages or task.languages) if task and study.selection == "target_dev" else ()
        found["target", target.task] = _picking(task, others)
    return found


def _picking(task: TaskFacts | None, languages: Sequence[str]) -> list[str] | None:
    """The training language and some others, as far as there is dev data in them."""
    if task is None:
        return None
    return [one for one in dict.fromkeys([task.train_languages[0], *languages]) if one in task.dev_languages]


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
    examples, tasks = _examples(results), results.tasks()
    return [
        outcome(one, metric_name(study, one, tasks), space_of(study, one), observed, examples.get(place, 100))
        for one, observed in found.items()
        for place in [(one.role, one.name)]
        if unit in (None, one.name)
    ]


def _examples(results: Results) -> dict[tuple[str, str], int]:
    """Dev examples behind a score, by role and scored task: those of its smallest language."""
    frame = results.dev_curves()
    return {
        (str(kind), str(task)): int(rows["examples"].min()) for (kind, task), rows in frame.groupby(["kind", "target"])
    }


def metric_name(study: Study, unit: Unit, tasks: KnownTasks) -> str:
    """What a unit's search maximises."""
    if settings(study).metric is not None:
        return str(settings(study).metric)
    names = (unit.name,) if unit.role == "target" else tasks.parts(unit.name)
    scores = [task.main_score for name in names if (task := tasks.get(name)) is not None]
    return "/".join(dict.fromkeys(scores)) or "accuracy"
