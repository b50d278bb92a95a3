"""When a run may go on and when it is stopped: pure rules, one object a stratum, no Ray and no torch.

The rule that a study's schedule asks for.
"""

from __future__ import annotations

from collections.abc import Iterable

from raystilts.scheduling.rules.asha import AshaRule, TrialAsha
from raystilts.scheduling.rules.base import BASELINE, FullRule, Run, StratumRule, Verdict
from raystilts.scheduling.rules.race import RaceRule
from raystilts.study.schedule import Asha, Race, Schedule

__all__ = ["BASELINE", "AshaRule", "FullRule", "RaceRule", "Run", "StratumRule", "TrialAsha", "Verdict", "stratum_rule"]


def stratum_rule(schedule: Schedule, runs: Iterable[Run]) -> StratumRule:
    """The rule of one stratum.

    Args:
        schedule: As the study file says.
        runs: The stratum's runs that compete, and those of the baseline; each arm's seeds in the study's order.
    """
    if isinstance(schedule, Asha):
        return AshaRule(runs, schedule.rungs, schedule.reduction_factor)
    if isinstance(schedule, Race):
        return RaceRule(runs, schedule.min_seeds, schedule.max_seeds, schedule.confidence)
    return FullRule(runs)
