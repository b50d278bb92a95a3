"""When a run may go on and when it is stopped: pure rules, one object a stratum, no Ray and no torch.

The rule that a study's schedule asks for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from raystilts.scheduling.rules.asha import AshaRule, TrialAsha
from raystilts.scheduling.rules.base import BASELINE, FullRule, Run, StratumRule, Verdict
from raystilts.scheduling.rules.halve import HalveRule
from raystilts.scheduling.rules.race import RaceRule
from raystilts.scheduling.rules.top_two import TopTwoRule, TopTwoSettings, TopTwoStratum
from raystilts.study.schedule import Asha, Halve, Race, Schedule

__all__ = [
    "BASELINE",
    "AshaRule",
    "FullRule",
    "HalveRule",
    "RaceRule",
    "Run",
    "StratumRule",
    "TopTwoRule",
    "TopTwoSettings",
    "TopTwoStratum",
    "TrialAsha",
    "Verdict",
    "stratum_rule",
]


def stratum_rule(schedule: Schedule, runs: Iterable[Run]) -> StratumRule:
    """The rule of one stratum, where each stratum has its own.

    Args:
        schedule: As the study file says; not `top_two`, whose rule is one for all strata.
        runs: The stratum's runs that compete, and those of the baseline; each arm's seeds in the study's order.
    """
    if isinstance(schedule, Asha):
        return AshaRule(runs, schedule.rungs, schedule.reduction_factor)
    if isinstance(schedule, Race):
        return RaceRule(runs, schedule.min_seeds, schedule.max_seeds, schedule.confidence)
    if isinstance(schedule, Halve):
        runs = list(runs)
        return HalveRule(runs, schedule.places(_most_seeds(runs)), schedule.rung, schedule.rung_keep)
    return FullRule(runs)


def _most_seeds(runs: Iterable[Run]) -> int:
    """Seeds of the arm that has most, without the baseline."""
    return max(Counter(run.arm for run in runs if run.arm != BASELINE).values(), default=1)
