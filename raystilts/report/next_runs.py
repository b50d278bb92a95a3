"""What to run next: the cheapest further seeds that would settle the open targets, as study files.

For each open target the sets of leading arms are tried from the two likeliest on, each with the number of seeds that
would decide with the wanted probability (`ranking.advice`); the set whose runs cost least is taken. Costs are the
recorded times of such stages; an intermediate that is there, or that another target needs too, costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count as numbers

import numpy as np

from raystilts.errors import UserError
from raystilts.ranking.advice import Advice, advise, advise_arms, arms_to_add
from raystilts.report.answers import Results
from raystilts.report.arms import TargetAnswer, arm_label
from raystilts.report.next_cost import Ran, StageTimes
from raystilts.study.schema import Study

#: Grids are run as one where that costs at most this much more than one after the other.
_ONE_GRID = 1.25


@dataclass(frozen=True, slots=True)
class Need:
    """What an open target needs.

    Attributes:
        arms: Intermediates (without `none`, which always gets the seeds too).
        seeds: The new seeds.
        probability: Chance that they decide; None where the seed variance is unknown.
    """

    target: str
    target_fraction: float | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    probability: float | None

    @property
    def label(self) -> str:
        """The target as people read it."""
        return arm_label(self.target, self.target_fraction)


@dataclass(frozen=True, slots=True)
class _Goal:
    """What counts as settling a target, by the arguments of `advise`."""

    probability: float
    max_seeds: int
    tolerance: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Runs that one study file can ask for.

    Attributes:
        seconds: Device seconds, by the recorded times of such stages.
        runs: Stages to be trained or scored.
    """

    targets: tuple[str, ...]
    target_fraction: float | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    seconds: float
    runs: int


@dataclass(frozen=True, slots=True)
class NextRuns:
    """What would settle a study.

    Attributes:
        settled: Targets that need nothing.
        hopeless: Targets that the allowed number of seeds would not settle, and why.
        needs: The others.
        grids: The runs that these need.
    """

    study: Study
    fraction: float
    settled: tuple[str, ...]
    hopeless: tuple[tuple[str, str], ...]
    needs: tuple[Need, ...]
    grids: tuple[Grid, ...]


def next_runs(results: Results, *, probability: float = 0.8, max_seeds: int = 16, tolerance: float = 0.0) -> NextRuns:
    """Works out what to run next.

    Args:
        probability: Wanted chance of settling each target, in (0, 1).
        max_seeds: The largest number of further seeds to think of.
        tolerance: Loss that does not matter (0.01 is a point): a target is settled when its leader is no more than
            that below the best.

    Raises:
        UserError: tables without a study, values out of range, or nothing finished yet.
    """
    if not 0.0 < probability < 1.0:
        raise UserError(f"--probability {probability:g}: must lie between 0 and 1, such as 0.8")
    if max_seeds < 1:
        raise UserError(f"--max-seeds {max_seeds}: must be at least 1")
    if not 0.0 <= tolerance < 1.0:
        raise UserError(f"--tolerance {100 * tolerance:g}: must be at least 0 and below 100 points")
    goal = _Goal(probability, max_seeds, tolerance)
    study = results.study()
    if study is None:
        raise UserError(
            f"{results.folder.url} holds no study.json, so what to run is not known; it is there once `raystilts run` "
            "has written to this folder (imported tables have none)"
        )
    times = StageTimes.of(results.runs(), study.compared_fraction)
    settled: list[str] = []
    hopeless: list[tuple[str, str]] = []
    needs: list[Need] = []
    for answer in results.answers():
        label = arm_label(answer.target, answer.target_fraction)
        found = _need(answer, times.after(needs), goal)
        if isinstance(found, Need):
            unknown = sorted({*found.arms} - {arm.label for arm in study.intermediates})
            if unknown or answer.target not in {target.task for target in study.targets}:
                missing = ", ".join(unknown) or answer.target
                hopeless.append((label, f"{missing} is not in study.json, so its settings are not known"))
            else:
                needs.append(found)
        elif found is None:
            settled.append(label)
        else:
            hopeless.append((label, found))
    grids = _grids(needs, times)
    return NextRuns(study, study.compared_fraction, tuple(settled), tuple(hopeless), tuple(needs), grids)


def _need(answer: TargetAnswer, times: StageTimes, goal: _Goal) -> Need | str | None:
    """What a target needs; None where it is settled, and a reason where nothing helps."""
    choice = answer.choice
    assert choice is not None
    if not choice.determined:
        arms = [i for i in np.flatnonzero(choice.competes).tolist() if not choice.fit.deterministic[i]]
        if not arms:
            return "no arm has a finished run"
        return _found(answer, times, Advice(tuple(arms), 1, None, ""))
    whole = advise(choice, **asdict(goal))
    if whole.seeds == 0:
        return None
    if not whole.arms:
        return whole.note
    wanted = [i for i in choice.best_set if not choice.fit.deterministic[i]]
    baseline = [i for i in arms_to_add(choice).tolist() if i == 0]
    options = [whole]
    for size in range(1, len(wanted)):
        some = np.array(sorted({*wanted[:size], *baseline}))
        options.append(advise_arms(choice, some, **asdict(goal)))
    needs = [_found(answer, times, option) for option in options if option.seeds is not None]
    if not needs:
        best = max(options, key=lambda option: option.probability or 0.0)
        few = "less than 0.01" if (best.probability or 0.0) < 0.01 else f"{best.probability:.2f}"
        return (
            f"{goal.max_seeds} more seeds would decide with probability {few} only: take {answer.best[0]}, allow more "
            "(--max-seeds), or say what loss does not matter (--tolerance)"
        )
    return min(needs, key=lambda need: times.seconds_of([need])[0])


def _found(answer: TargetAnswer, times: StageTimes, advice: Advice) -> Need:
    names = tuple(dict.fromkeys(answer.choice_arms[i][0] for i in advice.arms))
    used = times.used_seeds(answer.target, answer.target_fraction, names)
    fresh = (seed for seed in numbers() if seed not in used)
    seeds = tuple(next(fresh) for _ in range(advice.seeds or 1))
    arms = tuple(name for name in names if name != "none")
    return Need(answer.target, answer.target_fraction, arms, seeds, advice.probability)


def _grids(needs: Sequence[Need], times: StageTimes) -> tuple[Grid, ...]:
    """Needs of one target fraction together, where the cells that nobody needs cost little."""
    groups: list[list[Need]] = []
    for need in needs:
        for group in groups:
            if (
                _may_join(group, need)
                and _cost([*group, need], times) <= _ONE_GRID * times.seconds_of([*group, need])[0]
            ):
                group.append(need)
                break
        else:
            groups.append([need])
    return tuple(_grid(group, times) for group in groups)


def _may_join(group: Sequence[Need], need: Need) -> bool:
    fractions = {one.target_fraction for one in (*group, need)} - {None}
    return len(fractions) <= 1


def _cost(group: Sequence[Need], times: StageTimes) -> float:
    return _grid(group, times).seconds


def _grid(group: Sequence[Need], times: StageTimes) -> Grid:
    arms = tuple(dict.fromkeys(arm for need in group for arm in need.arms))
    seeds = tuple(sorted({seed for need in group for seed in need.seeds}))
    wide: list[Ran] = [Need(need.target, need.target_fraction, arms, seeds, None) for need in group]
    seconds, runs = times.seconds_of(wide)
    fraction = next((need.target_fraction for need in group if need.target_fraction is not None), None)
    return Grid(tuple(dict.fromkeys(need.target for need in group)), fraction, arms, seeds, seconds, runs)
