"""What a study may lose by the settings of its schedule, as far as that has been measured."""

from __future__ import annotations

from dataclasses import dataclass

from raystilts.schedules import Schedule
from raystilts.schedules.asha import Asha
from raystilts.schedules.race import Race
from raystilts.schedules.top_two import TopTwo

_ROUNDED = 0.005  # 0.33 is meant as one third


@dataclass(frozen=True, slots=True)
class _Measured:
    """A row of the simulated table in docs/measurements/schedules.md (benchmarks/schedules.py, 900 strata a column).

    Attributes:
        what: The setting, in words.
        compute: Work of the target stages, as a share of the full grid with 5 seeds.
        strong: Share of strata in which the best arm was found, where learning curves cross strongly.
        mild: Likewise where they cross mildly.
    """

    what: str
    compute: float
    strong: float
    mild: float

    def __str__(self) -> str:
        return (
            f"{self.what} the best arm was found in {self.strong:.0%} (learning curves that cross strongly) and "
            f"{self.mild:.0%} (mildly) of simulated targets at {self.compute:.0%} of the compute of a five-seed grid"
        )


_ASHA = _Measured("with one half, factor 2 and 3 seeds", 0.46, 0.63, 0.66)
_GRACE_THIRD = _Measured("with one third", 0.37, 0.59, 0.64)
_GRACE_QUARTER = _Measured("with one quarter", 0.32, 0.56, 0.64)
_GRACE_NINTH = _Measured("with one ninth and factor 3", 0.21, 0.37, 0.52)
_FACTOR_3 = _Measured("with factor 3", 0.41, 0.61, 0.65)
_SEEDS_2 = _Measured("with 2 seeds", 0.31, 0.58, 0.59)
_SEED_1 = _Measured("with 1 seed", 0.15, 0.50, 0.52)
_RACE = _Measured("with 0.9", 0.55, 0.68, 0.70)
_CONFIDENCE_70 = _Measured("with 0.7", 0.45, 0.63, 0.66)
_SOURCE = "(one change at a time; docs/measurements/schedules.md)"


def advice(schedule: Schedule, n_seeds: int) -> list[str]:
    """What is lost, a sentence a setting; empty where a schedule is as safe as the defaults.

    The measured neighbour of a setting is the nearest one that asks for no more.

    Args:
        schedule: The study's schedule.
        n_seeds: Seeds of an arm.
    """
    if isinstance(schedule, Asha):
        return _asha(schedule, n_seeds)
    if isinstance(schedule, TopTwo):
        return _top_two(schedule)
    return _race(schedule, n_seeds) if isinstance(schedule, Race) else []


def _asha(schedule: Asha, n_seeds: int) -> list[str]:
    lines = []
    grace = schedule.grace_period
    if grace < 1 / 3 - _ROUNDED:
        found = _GRACE_QUARTER if grace >= 1 / 4 - _ROUNDED else _GRACE_NINTH
        lines.append(_line(f"schedule.asha.grace_period is {grace:g}, below one third, the least that is safe", found))
    elif grace < 1 / 2 - _ROUNDED:
        lines.append(_line(f"schedule.asha.grace_period is {grace:g}, below one half", _GRACE_THIRD))
    if schedule.reduction_factor > 2:
        factor = schedule.reduction_factor
        lines.append(_line(f"schedule.asha.reduction_factor is {factor:g}, above 2", _FACTOR_3))
    if n_seeds < 3:
        measured = _SEEDS_2 if n_seeds == 2 else _SEED_1
        lines.append(_line(f"schedule.asha compares means of {n_seeds} seed{'s' if n_seeds > 1 else ''}", measured))
    return lines


def _race(schedule: Race, n_seeds: int) -> list[str]:
    lines = []
    if schedule.confidence < 0.9 - _ROUNDED:
        start = f"schedule.race.confidence is {schedule.confidence:g}, below 0.9"
        lines.append(_line(start, _CONFIDENCE_70, _RACE))
    last = n_seeds if schedule.max_seeds is None else schedule.max_seeds
    if last == schedule.min_seeds:
        lines.append(
            f"schedule.race has its {last} seeds in the first round: nothing can be dropped, it is a full grid; "
            "list more seeds, which only the arms that may be the best will use"
        )
    return lines


def _top_two(schedule: TopTwo) -> list[str]:
    least = schedule.usual
    prior = {TopTwo.BUDGET_ALONE: "without a prior", TopTwo.BUDGET_BY_TEXT: "with the similarity of texts alone"}
    known = prior.get(least, "with a prior")
    if schedule.budget is None or schedule.budget >= least - _ROUNDED:
        return []
    return [
        f"schedule.top_two.budget is {schedule.budget:g}, below {least:g}, the least that found the best arm of real "
        f"targets about as often as the full grid {known}: the answer is the best that so many runs can say "
        "(docs/measurements/schedules.md)"
    ]


def _line(start: str, found: _Measured, safe: _Measured = _ASHA) -> str:
    return f"{start}: {found}; {safe.what} in {safe.strong:.0%} and {safe.mild:.0%} at {safe.compute:.0%} {_SOURCE}"
