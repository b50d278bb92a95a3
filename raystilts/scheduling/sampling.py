"""Top-two sampling for a plan: its budget, what intermediates cost in it, and what earlier studies expect."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean, pstdev

from raystilts.planning.cost import stage_tokens
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan
from raystilts.results.earlier import earlier_studies
from raystilts.results.joint_choice import Prior, prior_from
from raystilts.results.ledger import Ledger
from raystilts.schedules.base import Run
from raystilts.schedules.top_two import TEXT, Budget, TopTwo, TopTwoRule, TopTwoSettings, limited_to

#: Device seconds of stages that have been run.
Spent = Callable[[Collection[str]], float]


def prior_of(planned: Plan, sources: Sequence[str]) -> Prior:
    """What results folders say of a plan's targets and arms, matched by name, and the similarity of the tasks' texts.

    Args:
        sources: Results folders; `text` is the similarity. Several are averaged where they know the cell.

    Raises:
        UserError: A folder is not there or holds no scores.
    """
    folders = [source for source in sources if source != TEXT]
    earlier = [one for folder in folders for one in earlier_studies(folder)]
    found = dict(prior_from(earlier, planned.study)) if folders else {}
    if TEXT not in sources:
        return found
    from raystilts.training.task_similarity import text_similarities  # here: it loads torch

    for cell, value in _standardised(text_similarities(planned.study)).items():
        found[cell] = (len(folders) * found[cell] + value) / (len(folders) + 1) if cell in found else value
    return found


def _standardised(similarities: Prior) -> dict[tuple[str, str], float]:
    """Similarities in each target's own mean and spread, as the scores of earlier studies are."""
    rows: dict[str, list[float]] = {}
    for (target, _), value in similarities.items():
        rows.setdefault(target, []).append(value)
    spread = {target: pstdev(values) or 1.0 for target, values in rows.items()}
    return {(target, arm): (value - fmean(rows[target])) / spread[target] for (target, arm), value in
            similarities.items()}  # fmt: skip


def spent_by(results: str) -> Spent:
    """Device seconds by a ledger: of every attempt at a stage."""
    return lambda stages: math.fsum(
        row.seconds * row.device_share for row in Ledger(results).rows() if row.stage in stages
    )


def top_two_rule(
    planned: Plan,
    schedule: TopTwo,
    strata: Mapping[str, Mapping[Run, str]],
    targets: Mapping[str, str],
    prior: Prior,
    spent: Spent,
) -> TopTwoRule:
    """The rule of all strata.

    Args:
        strata: Stage of each run, by stratum.
        targets: Task of each stratum.
        prior: See `prior_of`.
        spent: Used where the budget is device time.
    """
    settings = TopTwoSettings(
        budget=_budget(planned, schedule, strata, spent),
        round_size=schedule.round_size,
        tolerance=None if schedule.tolerance is None else schedule.tolerance / 100,
        prior={
            (key, run.arm): prior[targets[key], run.arm]
            for key, runs in strata.items()
            for run in runs
            if (targets[key], run.arm) in prior
        },
        prices=_prices(planned, strata),
    )
    return TopTwoRule(strata, settings)


def _prices(planned: Plan, strata: Mapping[str, Mapping[Run, str]]) -> dict[str, float]:
    """Work of each arm's intermediate trainings, in the mean target run; merged weights cost nothing."""
    stages = [(run, planned.stages[key]) for runs in strata.values() for run, key in runs.items()]
    target = fmean([stage_tokens(stage) for _, stage in stages] or [1.0])
    return {
        run.arm: sum(map(stage_tokens, _trainings(planned, stage))) / target
        for run, stage in stages
        if stage.parent in planned.stages and target > 0
    }


def _trainings(planned: Plan, stage: Stage) -> list[Stage]:
    """The trainings one after the other that a stage starts from."""
    found: list[Stage] = []
    while stage.parent is not None and stage.parent in planned.stages:
        stage = planned.stages[stage.parent]
        found.append(stage)
    return found


def _budget(planned: Plan, schedule: TopTwo, strata: Mapping[str, Mapping[Run, str]], spent: Spent) -> Budget:
    if schedule.gpu_hours is None:
        total = sum(map(len, strata.values()))
        return limited_to(schedule.runs or max(1, round(schedule.share * total)))
    limit = schedule.gpu_hours * 3600

    def left(closed: Sequence[tuple[str, Run]], under_way: int) -> int:
        """Runs that the time left pays for, at the mean price so far, intermediates included."""
        if not closed:
            return sum(map(len, strata.values()))  # nothing has a price yet: the first round is run in any case
        stages = {strata[key][run] for key, run in closed}
        used = spent(stages.union(*map(planned.behind, stages)))
        each = used / len(closed)
        return int((limit - used) / each) - under_way if each > 0 else 0

    return left
