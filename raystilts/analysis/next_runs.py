"""What to run next: the cheapest further seeds that would settle the open targets, as study files.

For each open target the sets of leading arms are tried from the two likeliest on, each with the number of seeds that
would decide with the wanted probability (`ranking.advice`); the set whose runs cost least is taken. Costs are the
recorded times of such stages; an intermediate that is there, or that another target needs too, costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count as numbers
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from raystilts.analysis.presentation import count, printable, wrap
from raystilts.errors import UserError
from raystilts.planning.checks import without_unused
from raystilts.ranking.advice import Advice, advise, advise_arms, arms_to_add, chance_words
from raystilts.results.answers import TargetAnswer, target_label
from raystilts.results.results import Results
from raystilts.study.arms import Arms
from raystilts.study.composed import flattened
from raystilts.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd


#: An intermediate stage (target None, no target fraction), or a stage of a target; by arm.
Name = tuple[str, str | None, float | None]
#: Grids are run as one where that costs at most this much more than one after the other.
_ONE_GRID = 1.25


@dataclass(frozen=True, slots=True)
class Need:
    """What an open target needs.

    Attributes:
        arms: Intermediates (without `none`, which always gets the seeds too).
        seeds: The new seeds.
        probability: Chance that they decide; None where the seed variance is unknown.
        baseline: What the arm `none` is called.
    """

    target: str
    target_fraction: float | None
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    probability: float | None
    target_examples: int | None = None
    baseline: str = "none"

    @property
    def label(self) -> str:
        """The target as people read it."""
        return target_label(self.target, self.target_fraction, self.target_examples)


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
    target_examples: int | None = None


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


@dataclass(frozen=True, slots=True)
class _Goal:
    """What counts as settling a target, by the arguments of `advise`."""

    probability: float
    max_seeds: int
    tolerance: float


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
        label = answer.label
        found = _need(answer, times.after(needs), goal)
        if isinstance(found, Need):
            found = replace(found, arms=_with_members(study, found.arms))
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


def _with_members(study: Study, arms: Sequence[str]) -> tuple[str, ...]:
    """Arms, and behind them those of the study that they are made of: a study of them needs these too."""
    needed = Arms(study.intermediates).with_members(arms)
    members = (arm.label for arm in study.intermediates if arm.label in needed and not arm.is_none)
    return tuple(dict.fromkeys([*arms, *members]))


def _need(answer: TargetAnswer, times: StageTimes, goal: _Goal) -> Need | str | None:
    """What a target needs; None where it is settled, and a reason where nothing helps."""
    choice = answer.choice
    assert choice is not None
    if not choice.learnt:
        return "not learnt at this size: more seeds of the same do not help; train longer or on more data"
    if not choice.determined:
        arms = [i for i in np.flatnonzero(choice.competes).tolist() if not choice.fit.deterministic[i]]
        if not arms:
            return "no arm has a finished run"
        if answer.ceiling is not None:
            return answer.ceiling.words()
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
    if not needs and answer.ceiling is not None:
        return answer.ceiling.words()
    if not needs:
        best = max(options, key=lambda option: option.probability or 0.0)
        return (
            f"{goal.max_seeds} more seeds would decide with probability {chance_words(best.probability or 0.0)}: take "
            f"{answer.best[0]}, allow more (--max-seeds), or say what loss does not matter (--tolerance)"
        )
    return min(needs, key=lambda need: times.seconds_of([need])[0])


def _found(answer: TargetAnswer, times: StageTimes, advice: Advice) -> Need:
    names = tuple(dict.fromkeys(answer.choice_arms[i][0] for i in advice.arms))
    used = times.used_seeds(answer.target, answer.target_fraction, names)
    fresh = (seed for seed in numbers() if seed not in used)
    seeds = tuple(next(fresh) for _ in range(advice.seeds or 1))
    arms = tuple(name for name in names if name != "none")
    return Need(
        answer.target, answer.target_fraction, arms, seeds, advice.probability, answer.target_examples, answer.baseline
    )


#: Stands for the seeds of an intermediate that is the same for all of them.
_ALL_SEEDS = -1


@dataclass(frozen=True)
class StageTimes:
    """The stages that are there, and how long stages take, in device seconds.

    Attributes:
        by_name: Median time of each arm's stages; `by_place` of all stages of a target or intermediate.
        overall: Median time of a stage.
        there: Arm, target, target fraction and seed of every stage that was tried, intermediates among them.
    """

    by_name: Mapping[Name, float]
    by_place: Mapping[tuple[str | None, float | None], float]
    overall: float
    there: frozenset[tuple[Name, int]]

    @classmethod
    def of(cls, runs: pd.DataFrame, fraction: float) -> StageTimes:
        """Reads `Results.runs()`; of intermediates only those at one fraction count."""
        by_name: dict[Name, list[float]] = defaultdict(list)
        by_place: dict[tuple[str | None, float | None], list[float]] = defaultdict(list)
        there = set()
        columns = ("intermediate", "intermediate_fraction", "target", "target_fraction", "seed", "status", "seconds",
                   "device_share")  # fmt: skip
        rows = runs[list(columns)].astype(object).where(runs[list(columns)].notna(), None)
        for arm, share, target, target_fraction, seed, status, seconds, device in rows.itertuples(index=False):
            if share not in (None, fraction):
                continue
            name = (arm, target, target_fraction)
            if seed is not None and (status == "finished" or target is not None):
                there.add((name, int(seed)))
            elif status == "finished" and target is None:
                there.add((name, _ALL_SEEDS))
            if status == "finished":
                by_name[name].append(seconds * device)
                by_place[target, target_fraction].append(seconds * device)
        everything = [value for values in by_place.values() for value in values]
        return cls(
            {name: median(values) for name, values in by_name.items()},
            {place: median(values) for place, values in by_place.items()},
            median(everything) if everything else 0.0,
            frozenset(there),
        )

    def after(self, needs: Iterable[Need]) -> StageTimes:
        """As it will be when these have run."""
        return replace(self, there=self.there | {stage for need in needs for stage in _stages(need)})

    def used_seeds(self, target: str, target_fraction: float | None, arms: Iterable[str]) -> set[int]:
        """Seeds with which any of these arms, or `none`, has been tried on a target."""
        names = {(arm, target, target_fraction) for arm in (*arms, "none")}
        return {seed for name, seed in self.there if name in names}

    def seconds_of(self, needs: Sequence[Need]) -> tuple[float, int]:
        """Device seconds and number of the stages that these need and that are not there; each counts once."""
        missing = {stage for need in needs for stage in _stages(need)} - self.there
        missing = {(name, seed) for name, seed in missing if (name, _ALL_SEEDS) not in self.there}
        times = (self.by_name.get(name, self.by_place.get(name[1:], self.overall)) for name, _ in missing)
        return sum(times), len(missing)


def _stages(need: Need) -> set[tuple[Name, int]]:
    """The stages of a target's runs, with the intermediates that they start from."""
    found: set[tuple[Name, int]] = set()
    for seed in need.seeds:
        for arm in need.arms:
            found |= {((arm, None, None), seed), ((arm, need.target, need.target_fraction), seed)}
        if need.target_fraction is not None:  # an untrained encoder on a retrieval target has no seed
            found.add((("none", need.target, need.target_fraction), seed))
    return found


def _grids(needs: Sequence[Need], times: StageTimes) -> tuple[Grid, ...]:
    """Needs of one target fraction together, where the cells that nobody needs cost little."""
    groups: list[list[Need]] = []
    for need in needs:
        for group in groups:
            wider = [*group, need]
            one_fraction = len({one.target_fraction for one in wider} - {None}) <= 1
            if one_fraction and _grid(wider, times).seconds <= _ONE_GRID * times.seconds_of(wider)[0]:
                group.append(need)
                break
        else:
            groups.append([need])
    return tuple(_grid(group, times) for group in groups)


def _grid(group: Sequence[Need], times: StageTimes) -> Grid:
    arms = tuple(dict.fromkeys(arm for need in group for arm in need.arms))
    seeds = tuple(sorted({seed for need in group for seed in need.seeds}))
    wide: list[Need] = [Need(need.target, need.target_fraction, arms, seeds, None) for need in group]
    seconds, runs = times.seconds_of(wide)
    fraction = next((need.target_fraction for need in group if need.target_fraction is not None), None)
    targets = tuple(dict.fromkeys(need.target for need in group))
    numbers = {need.target_examples for need in group if need.target_fraction is not None}
    # Of one number the study says so; of others, which happen to be one share of their data, that share.
    examples = numbers.pop() if len(numbers) == 1 else None
    return Grid(targets, fraction, arms, seeds, seconds, runs, examples)


def grid_study(found: NextRuns, grid: Grid, results: str) -> Study:
    """The study of one grid: same data and settings, in the place that adds to the same results.

    Args:
        results: The results folder, a path or a URI.
    """
    old = found.study
    place = results.rstrip("/") if "://" in results else str(Path(results).expanduser().absolute())
    storage_path, _, name = place.rpartition("/")
    arms = [arm for arm in old.intermediates if arm.is_none or arm.label in grid.arms]
    if not any(arm.is_none for arm in arms):
        arms = [type(arms[0]).model_validate("none"), *arms]
    update: dict[str, Any] = {
        "intermediates": tuple(arms),
        "intermediate_fractions": old.intermediate_fractions.model_copy(update={"values": (found.fraction,)}),
        "compare_at": None,
        "targets": tuple(target for target in old.targets if target.task in grid.targets),
        "seeds": grid.seeds,
        "baseline_seeds": None,
        "schedule": "full",
        "search": None,
        "name": name,
        "storage_path": storage_path,
    }
    if grid.target_fraction is not None:
        whole = grid.target_examples is not None
        values = (1.0,) if whole else (grid.target_fraction,)
        update["target_fractions"] = old.target_fractions.model_copy(update={"values": values})
        update["target_examples"] = (grid.target_examples,) if whole else None
        update["targets"] = tuple(one.model_copy(update={"examples": None}) for one in update["targets"])
    return without_unused(old.model_copy(update=update))


def study_text(found: NextRuns, grid: Grid, study: Study) -> str:
    """A study file, with what it is for at its top."""
    data = study.model_dump(mode="json", exclude_defaults=True)
    data["intermediates"] = [_short(arm) for arm in data["intermediates"]]
    needs = [need for need in found.needs if need.target in grid.targets]
    lines = [f"What would settle {', '.join(need.label for need in needs)}: {count(grid.runs, 'stage')}, "
             f"{duration(grid.seconds)} of a device by the recorded times of such stages."]  # fmt: skip
    lines += [need_sentence(need) for need in needs]
    comment = "".join(f"# {printable(line)}\n" for text in lines for line in wrap(text))
    return comment + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _short(arm: dict[str, Any]) -> Any:
    """An intermediate as people write it."""
    if not arm:
        return "none"
    if arm.keys() == {"tasks"} and len(arm["tasks"]) == 1:
        return arm["tasks"][0]
    return flattened(arm)


def write_studies(found: NextRuns, path: Path, results: str) -> list[Path]:
    """Writes one study file a grid: the first as `path`, the others numbered beside it.

    Raises:
        UserError: a file cannot be written.
    """
    paths = [path, *(path.with_name(f"{path.stem}-{i}{path.suffix}") for i in range(2, len(found.grids) + 1))]
    for grid, one in zip(found.grids, paths, strict=False):
        try:
            one.write_text(study_text(found, grid, grid_study(found, grid, results)), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--output {one}: cannot be written ({error.strerror}); give another file") from None
    return paths[: len(found.grids)]


def need_sentence(need: Need) -> str:
    """What one target needs, in words."""
    arms = f"{', '.join(need.arms)} and {need.baseline}" if need.arms else need.baseline
    runs = f"{count(len(need.seeds), 'more seed')} of {arms}"
    if need.probability is None:
        return f"{need.label}: {runs}; nothing is told apart without a second seed"
    return f"{need.label}: {runs} would decide with probability {need.probability:.2f}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
