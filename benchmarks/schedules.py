"""What schedules cost and find, and the tables of docs/measurements/schedules.md.

Learning curves are replayed through the rules that a study uses (`raystilts.testing.replay`); nothing is trained. Two
per-trial ASHAs stand in the tables as a warning: Ray Tune's stopping rule, written again in `per_trial_asha`, once over
the mixed grid (one set of rungs for all targets) and once per target.

    OMP_NUM_THREADS=1 python benchmarks/schedules.py --tables FOLDER --write docs/measurements/schedules.md

FOLDER holds the tables of real runs that benchmarks/schedules_taskweb.py describes; without it, the simulated grids
alone are played.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import schedules_taskweb
from per_trial_asha import PerTrialAsha, RayRungs
from simulated_curves import ARMS, CROSSING, TARGETS, Stratum, grids

from raystilts.schedules.asha import AshaRule
from raystilts.schedules.base import FullRule, Run, StratumRule
from raystilts.schedules.halve import HalveRule, Places
from raystilts.schedules.race import RaceRule
from raystilts.schedules.top_two import TopTwoRule, TopTwoSettings, limited_to
from raystilts.testing.replay import Jointly, Outcome, Replayed, replay

FloatArray = npt.NDArray[np.float64]
MakeRule = Callable[[str, Sequence[Run]], StratumRule]
SLOTS = 16


@dataclass(frozen=True, slots=True)
class Schedule:
    """A row of the tables: a rule for each stratum, and how many seeds there are."""

    name: str
    seeds: int
    rule: Callable[[], MakeRule | Jointly]


def full(seeds: int) -> Schedule:
    """All runs to the end."""
    return Schedule(f"full, {seeds} seed{'s' * (seeds > 1)}", seeds, lambda: lambda _, runs: FullRule(runs))


def asha(name: str, rungs: tuple[float, ...], factor: float = 2, seeds: int = 3) -> Schedule:
    """Halving over arms."""
    return Schedule(f"ASHA over arms, {name}", seeds, lambda: lambda _, runs: AshaRule(runs, rungs, factor))


def race(most: int, confidence: float = 0.9) -> Schedule:
    """Seed after seed."""
    name = f"race 2→{most}" + (f", confidence {confidence:g}" if confidence != 0.9 else "")
    return Schedule(name, most, lambda: lambda _, runs: RaceRule(runs, 2, None, confidence))


def halve(
    name: str, seeds: int, keep: tuple[Places, ...], rung: float | None = None, rung_keep: Places = 0.5
) -> Schedule:
    """Further seeds of the best few."""
    return Schedule(f"halve {name}", seeds, lambda: lambda _, runs: HalveRule(runs, keep, rung, rung_keep))


def top_two(share: float) -> Schedule:
    """One posterior for all targets, without a prior."""

    def make(runs: Mapping[str, Sequence[Run]]) -> Mapping[str, StratumRule]:
        total = sum(len(found) for found in runs.values())
        shared = TopTwoRule(runs, TopTwoSettings(limited_to(round(share * total))))
        return {target: shared.of(target) for target in runs}

    return Schedule(f"top_two {share:g}, no prior", 5, lambda: Jointly(make))


def mixed() -> MakeRule:
    """One set of rungs for all targets."""
    shared = RayRungs((1 / 9, 1 / 3), 3)
    return lambda _, runs: PerTrialAsha(runs, shared)


def per_target(rungs: tuple[float, ...], factor: float) -> MakeRule:
    """A set of rungs for each target."""
    return lambda _, runs: PerTrialAsha(runs, RayRungs(rungs, factor))


SCHEDULES = [
    *(full(seeds) for seeds in (1, 2, 3, 4, 5)),
    asha("3 seeds, grace 1/2, factor 2 (default)", (1 / 2,)),
    asha("3 seeds, grace 1/3, factor 2", (1 / 3, 2 / 3)),
    asha("3 seeds, grace 1/4, factor 2", (1 / 4, 1 / 2)),
    asha("3 seeds, grace 1/9, factor 3", (1 / 9, 1 / 3), 3),
    asha("3 seeds, grace 1/2, factor 3", (1 / 2,), 3),
    asha("2 seeds, grace 1/2, factor 2", (1 / 2,), 2, 2),
    asha("1 seed, grace 1/2, factor 2", (1 / 2,), 2, 1),
    asha("5 seeds, grace 1/2, factor 2", (1 / 2,), 2, 5),
    halve("all, 4, 3 (default)", 3, ("all", 4, 3)),
    halve("all, 6, 3, 2, 2", 5, ("all", 6, 3, 2, 2)),
    halve("all, 6, 3, 2, 2, rung 1/2, half go on", 5, ("all", 6, 3, 2, 2), 1 / 2),
    halve("all, 4, 2, 2, rung 1/4, 6 go on", 4, ("all", 4, 2, 2), 1 / 4, 6),
    top_two(0.3),
    top_two(0.45),
    race(5),
    race(8),
    race(5, 0.7),
    Schedule("WARNING: per-trial ASHA over the mixed grid, grace 1/9, factor 3", 5, mixed),
    Schedule("WARNING: per-trial ASHA per target, grace 1/9, factor 3", 5, lambda: per_target((1 / 9, 1 / 3), 3)),
    Schedule("WARNING: per-trial ASHA per target, grace 1/4, factor 2", 5, lambda: per_target((1 / 4, 1 / 2), 2)),
]


@dataclass(slots=True)
class Tally:
    """What one schedule did over many grids.

    Attributes:
        rows: For each stratum: found the best arm, within half a sigma of it, regret in points, no run finished.
        targets: Work of target stages, in runs.
        intermediates: Intermediate stages that were trained.
        wall: Time on SLOTS slots, in runs.
        grids: Number of grids.
    """

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    targets: float = 0.0
    intermediates: int = 0
    wall: float = 0.0
    grids: int = 0

    def add(self, replayed: Replayed, rows: list[tuple[float, float, float, float]]) -> None:
        """One more grid."""
        self.rows += rows
        self.targets += replayed.seconds
        self.intermediates += len(replayed.intermediates)
        self.wall += replayed.wall_seconds
        self.grids += 1

    def work(self, price: float) -> float:
        """Work a grid, where an intermediate stage costs so many target runs."""
        return (self.targets + price * self.intermediates) / self.grids

    @property
    def means(self) -> FloatArray:
        """Means of the rows' columns."""
        return np.asarray(np.mean(self.rows, axis=0))


Tallies = Mapping[str, Tally]


def grade(outcome: Outcome, stratum: Stratum) -> tuple[float, float, float, float]:
    """A row of `Tally`; without a finished run, `none` is what one is left with."""
    chosen = outcome.chosen
    regret = float(stratum.truth.max() - stratum.truth[0 if chosen is None else ARMS.index(chosen)])
    return float(regret == 0.0), float(regret <= stratum.sigma / 2), regret, float(chosen is None)


def simulate(number: int, crossing: str, luck: float) -> Tallies:
    """Every schedule on the same grids."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for index, grid in enumerate(grids(number, crossing, luck)):
        for schedule in SCHEDULES:
            curves = {name: stratum.curves.only(schedule.seeds) for name, stratum in grid.items()}
            order = np.random.default_rng(index)
            replayed = replay(curves, schedule.rule(), slots=SLOTS, shuffle=order)
            rows = [grade(outcome, grid[name]) for name, outcome in replayed.outcomes.items()]
            tallies[schedule.name].add(replayed, rows)
    return tallies


def against_full(tally: Tally, tallies: Tallies, price: float, column: int) -> tuple[float, float] | None:
    """Difference to the full grid of the same work, interpolated between numbers of seeds, with its standard error.

    None where the schedule takes less than one seed of the full grid, or more than five.
    """
    grid = [tallies[full(seeds).name] for seeds in range(1, 6)]
    work = [one.work(price) for one in grid]
    mine = tally.work(price)
    if not work[0] <= mine <= work[-1]:
        return None
    above = max(1, int(np.searchsorted(work, mine)))
    weight = (mine - work[above - 1]) / (work[above] - work[above - 1])
    lower, upper = (np.array(grid[i].rows)[:, column] for i in (above - 1, above))
    difference = np.array(tally.rows)[:, column] - (1 - weight) * lower - weight * upper
    return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)


def shown(difference: tuple[float, float] | None) -> str:
    """`+.012 ± .003`."""
    return "-" if difference is None else f"{difference[0]:+.3f} ± {difference[1]:.3f}"


def quality_table(results: Mapping[str, Tallies]) -> list[str]:
    """Cost and quality of each schedule, target stages only."""
    strong, mild = results["strong"], results["mild"]
    whole = strong[full(5).name]
    lines = [
        f"|schedule|compute|wall, {SLOTS} slots|best arm found, strong / mild crossing|within .5σ"
        "|regret, points, strong / mild|strata without a finished run|",
        "|---|---|---|---|---|---|---|",
    ]
    for name, tally in strong.items():
        a, b = tally.means, mild[name].means
        lines.append(
            f"|{name}|{tally.work(0) / whole.work(0):.2f}|{tally.wall / whole.wall:.2f}|{a[0]:.3f} / {b[0]:.3f}"
            f"|{a[1]:.3f} / {b[1]:.3f}|{a[2]:.2f} / {b[2]:.2f}|{a[3]:.2f}|"
        )
    return lines


def equal_table(results: Mapping[str, Tallies], price: float) -> list[str]:
    """Each schedule minus the full grid of the same compute."""
    strong, mild = results["strong"], results["mild"]
    whole = strong[full(5).name].work(price)
    lines = [
        "|schedule|compute|best arm found: difference, strong|mild|regret, points: difference, strong|mild|",
        "|---|---|---|---|---|---|",
    ]
    for name, tally in strong.items():
        if not name.startswith("full"):
            cells = [shown(against_full(t[name], t, price, column)) for column in (0, 2) for t in (strong, mild)]
            lines.append(f"|{name}|{tally.work(price) / whole:.2f}|" + "|".join(cells) + "|")
    return lines


def write(path: Path, tables: Mapping[str, Sequence[str]]) -> None:
    """Puts tables into a document, each between `<!-- table: NAME -->` and `<!-- end -->`."""
    text = path.read_text(encoding="utf-8")
    for name, lines in tables.items():
        start = text.index(f"<!-- table: {name} -->")
        text = (
            text[:start]
            + "\n".join([f"<!-- table: {name} -->", "", *lines, ""])
            + "\n"
            + text[text.index("<!-- end -->", start) :]
        )
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--grids", type=int, default=100, help=f"simulated grids of {TARGETS} targets a crossing; 0: none"
    )
    parser.add_argument("--price", type=float, default=5.0, help="work of an intermediate stage, in target runs")
    parser.add_argument(
        "--luck", type=float, default=0.5, help="a seed's luck at share r correlates r ** LUCK with the end"
    )
    parser.add_argument("--tables", type=Path, help="folder of taskweb_*_runs.csv")
    parser.add_argument("--splits", type=int, default=8, help="choices of 4 of their 8 seeds")
    parser.add_argument("--write", type=Path, help="a document whose tables are made anew")
    arguments = parser.parse_args()
    started = time.perf_counter()
    tables: dict[str, list[str]] = {}
    if arguments.grids:
        results = {crossing: simulate(arguments.grids, crossing, arguments.luck) for crossing in CROSSING}
        tables["simulated"] = quality_table(results)
        tables["simulated, equal compute"] = equal_table(results, 0.0)
        tables["simulated, equal compute, priced"] = equal_table(results, arguments.price)
    if arguments.tables:
        tables |= schedules_taskweb.tables(arguments.tables, arguments.splits)
    for name, lines in tables.items():
        print(f"\n{name}:\n")
        print("\n".join(lines))
    if arguments.write:
        write(arguments.write, tables)
    print(f"\n{TARGETS * arguments.grids} strata a crossing; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
