"""The rule that a study's schedule asks for."""

from __future__ import annotations

from collections.abc import Iterable

from raystilts.scheduling.rules.asha import AshaRule
from raystilts.scheduling.rules.base import Run, StratumRule
from raystilts.scheduling.rules.full import FullRule
from raystilts.scheduling.rules.race import RaceRule
from raystilts.study.schedule import Asha, Race, Schedule


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
