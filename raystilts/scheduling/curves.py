"""What the ledger knows of the dev scores along each run: a driver that starts decides from what the last one saw."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from raystilts.ranking.degenerate import is_broken
from raystilts.results.store import Results
from raystilts.scheduling.strata import Curve
from raystilts.study.data import picking_languages
from raystilts.study.plan import Plan
from raystilts.tasks.registry import get_task


def known_curves(planned: Plan, results: str | Path) -> dict[str, Curve]:
    """The curves of a plan's target stages, by stage; absent for stages without a score.

    A score is the mean of the main metric over the languages that pick checkpoints and arms, as in training.
    """
    languages = {
        target.task: picking_languages(planned.study, get_task(target.task)) for target in planned.study.targets
    }
    points: dict[tuple[str, int, str, bool, int], list[tuple[float, bool]]] = defaultdict(list)
    frame = Results(results, stages=planned.stages).dev_scores()
    for stage, attempt, status, rule, step, language, value, is_final in frame.itertuples(index=False):
        if language in languages[str(planned.stages[stage].target)]:
            points[stage, attempt, status, is_broken(rule), step].append((value, is_final))
    curves: dict[str, Curve] = {}
    for (stage, _, status, broken, step), scores in points.items():
        if len(scores) < len(languages[str(planned.stages[stage].target)]):
            continue  # evaluated on fewer languages, by a study that selects otherwise
        mean = math.fsum(value for value, _ in scores) / len(scores)
        curve = curves.setdefault(stage, Curve())
        curve.steps[step] = mean
        if status == "finished" and all(is_final for _, is_final in scores):
            curve.final = math.nan if broken else mean
    return curves
