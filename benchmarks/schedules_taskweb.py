"""What schedules need of a full grid, on real runs: race, halving over seeds, top-two sampling with and without prior.

Three settings of TaskWeb (Kim et al., EMNLP 2023; T5-small, T5-base, GPT-2-medium) of 21 targets, 21 arms each and 8
seeds: 4 to choose from, the means of the other 4 as truth. The runs are replayed through the rules that a study uses;
nothing is trained. The prior of a setting is the matrices of the other two, all their seeds.

    OMP_NUM_THREADS=1 python benchmarks/schedules_taskweb.py --tables FOLDER --splits 8

FOLDER holds taskweb_t5_small_runs.csv, taskweb_t5_base_runs.csv and taskweb_gpt2_medium_runs.csv; they are not part of
this project. Runs that do not learn are flagged as in a study and count as failed.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ranking_taskweb import flagged

from raystilts.ranking.draws import best_of
from raystilts.ranking.joint import EarlierScores, prior_features
from raystilts.ranking.together import TargetTable, rank_together
from raystilts.schedules.base import FullRule, Run, StratumRule
from raystilts.schedules.halve import HalveRule
from raystilts.schedules.race import PooledRaceRule, RaceRule
from raystilts.schedules.top_two import TopTwoRule, TopTwoSettings, limited_to
from raystilts.testing.replay import Curves, Jointly, MakeRule, Outcome, Replayed, replay

FloatArray = npt.NDArray[np.float64]
SETTINGS = ("t5_small", "t5_base", "gpt2_medium")
SEEDS = 4
PRICE = 5.0  # of an intermediate, in target runs, where it has one


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """One setting: ``scores[target, arm, seed]`` in points, nan where there is no run or it has failed."""

    name: str
    targets: list[str]
    arms: list[str]
    scores: FloatArray

    def earlier(self) -> EarlierScores:
        """As an earlier study."""
        return {
            target: {arm: row[~np.isnan(row)].tolist() for arm, row in zip(self.arms, table, strict=True)}
            for target, table in zip(self.targets, self.scores, strict=True)
        }


def read(folder: Path, name: str) -> Matrix:
    """A table of runs; accuracy, and for stsb the Pearson correlation."""
    cells: dict[tuple[str, str, str], float] = {}
    with (folder / f"taskweb_{name}_runs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["metric"] == ("pearson" if row["target"] == "stsb" else "accuracy") and row["value"]:
                cells[row["target"], row["intermediate"], row["seed"]] = float(row["value"])
    targets, arms, seeds = (sorted({cell[place] for cell in cells}) for place in range(3))
    scores = np.array([[[cells.get((t, a, s), np.nan) for s in seeds] for a in arms] for t in targets])
    for target, table in zip(targets, scores, strict=True):
        there = ~np.isnan(table).all(axis=1)
        table[there] = flagged(target, table[there])
    return Matrix(name, targets, arms, scores)


@dataclass(frozen=True, slots=True)
class Pick:
    """What is said of one target.

    Attributes:
        arm: The arm that is chosen.
        said: P(best) of that arm.
        said_held: Its probability to be first by the means of as many new seeds as are held out.
    """

    arm: str
    said: float
    said_held: float


Picks = Mapping[str, Pick]
Prior = Callable[["Matrix"], FloatArray | None]


def by_mean(outcomes: Mapping[str, Outcome]) -> Picks:
    """The arms with the highest bare means, among those with more than half of the seeds that any arm has."""
    picks = {}
    for target, outcome in outcomes.items():
        scores: dict[str, list[float]] = defaultdict(list)
        for run, score in outcome.finished.items():
            scores[run.arm].append(score)
        most = max(len(one) for one in scores.values())
        means = {arm: float(np.mean(one)) for arm, one in scores.items() if len(one) > most / 2}
        picks[target] = Pick(max(sorted(means), key=means.__getitem__), np.nan, np.nan)
    return picks


def ranked(outcomes: Mapping[str, Outcome]) -> Picks:
    """The leaders of the ranking, each target for itself, as a study answers today."""
    picks = {}
    for target, outcome in outcomes.items():
        arms, answer = outcome.ranked()
        leader = answer.leader
        assert leader is not None
        picks[target] = Pick(arms[leader], np.nan, np.nan)
        if answer.determined:
            rng = np.random.default_rng(len(target))
            new = answer.draws[1:] + rng.normal(0.0, (answer.fit.variance / SEEDS) ** 0.5, answer.draws[1:].shape)
            top, _ = best_of(new, answer.competes[1:])
            picks[target] = Pick(arms[leader], float(answer.p_best[leader]), float(top[leader - 1]))
    return picks


def jointly(matrix: Matrix, outcomes: Mapping[str, Outcome], prior: FloatArray | None) -> Picks:
    """The leaders of the posterior that all targets share, as `best` takes them after such a schedule."""
    tables, rows = [], []
    for row, target in enumerate(matrix.targets):
        there = np.flatnonzero(~np.isnan(matrix.scores[row]).all(axis=1)).tolist()
        scores = np.full((1 + len(there), SEEDS), np.nan)
        place = {matrix.arms[arm]: 1 + number for number, arm in enumerate(there)}
        for run, score in outcomes[target].finished.items():
            scores[place[run.arm], run.seed or 0] = score
        known = {} if prior is None else {matrix.arms[arm]: float(prior[row, arm]) for arm in there}
        tables.append(TargetTable(["none", *place], scores, np.arange(len(scores)) > 0, known))
        rows.append(["none", *place])
    found = rank_together(tables, stream=matrix.name)
    assert found is not None
    rng = np.random.default_rng(0)
    picks = {}
    for target, arms, answer in zip(matrix.targets, rows, found, strict=True):
        leader = answer.leader
        assert leader is not None
        new = answer.draws[1:] + rng.standard_normal(answer.draws[1:].shape) * np.sqrt(answer.noise[1:] / SEEDS)
        top, _ = best_of(new, answer.competes[1:])
        picks[target] = Pick(arms[leader], float(answer.p_best[leader]), float(top[leader - 1]))
    return picks


@dataclass(slots=True)
class Tally:
    """What one schedule did: rows of found, regret, said, said with the noise of the held-out means, by chooser."""

    rows: dict[str, list[tuple[float, float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    groups: list[str] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def means(self, chooser: str) -> list[float]:
        """Of the columns."""
        values = np.array(self.rows[chooser])
        return [float(np.nanmean(column)) if not np.isnan(column).all() else np.nan for column in values.T]

    def difference(self, chooser: str, other: Tally, column: int) -> str:
        """Mean difference to the ranking of another schedule, with its standard error over setting and target."""
        groups = defaultdict(list)
        for name, mine, theirs in zip(self.groups, self.rows[chooser], other.rows["ranking"], strict=True):
            groups[name].append(mine[column] - theirs[column])
        means = np.array([np.nanmean(values) for values in groups.values() if not np.isnan(values).all()])
        return f"{means.mean():+.3f} ± {means.std(ddof=1) / len(means) ** 0.5:.3f}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes:
        rule: From a matrix and the number of runs of its grid.
        seeds: Of those that are given to it.
        prior: Also of the joint posterior that chooses.
    """

    name: str
    rule: Callable[[Matrix, int], MakeRule | Jointly]
    prior: Prior
    seeds: int = SEEDS


def apart(name: str, rule: MakeRule, seeds: int = SEEDS) -> Row:
    """A schedule with a rule for each target."""
    return Row(name, lambda matrix, total: rule, no_prior, seeds)


def pooled_race(runs: Mapping[str, Sequence[Run]]) -> Mapping[str, StratumRule]:
    """A race from one seed, the noise between seeds pooled over targets."""
    shared = PooledRaceRule(runs, None, 0.9)
    return {target: shared.of(target) for target in runs}


def no_prior(matrix: Matrix) -> FloatArray | None:
    """Nothing is known."""
    return None


def from_others(matrices: Sequence[Matrix], wrong: str = "") -> Prior:
    """What other settings say; `wrong`: with arms shuffled in each target, or as if each target were another one."""

    def prior(matrix: Matrix) -> FloatArray | None:
        earlier = [one.earlier() for one in matrices if one.name != matrix.name]
        features, known = prior_features(earlier, matrix.targets, matrix.arms)
        rng = np.random.default_rng(0)
        if wrong == "shuffled":
            for row, there in zip(features, known, strict=True):
                row[there] = rng.permutation(row[there])
        return np.roll(features, 7, axis=0) if wrong == "other tasks" else features if earlier else None

    return prior


def top_two(name: str, budget: float, prior: Prior = no_prior, price: float = 0.0) -> Row:
    """Top-two sampling with a share of the grid's runs."""

    def make(matrix: Matrix, total: int) -> Jointly:
        features = prior(matrix)
        known = {
            (target, arm): float(features[row, column])
            for row, target in enumerate(matrix.targets)
            for column, arm in enumerate(matrix.arms)
            if features is not None and features[row, column] != 0.0
        }
        settings = TopTwoSettings(
            limited_to(round(budget * total)), prior=known, prices=dict.fromkeys(matrix.arms, price)
        )

        def rules(runs: Mapping[str, Sequence[Run]]) -> Mapping[str, StratumRule]:
            shared = TopTwoRule(runs, settings)
            return {target: shared.of(target) for target in runs}

        return Jointly(rules)

    return Row(f"top_two {budget:g}{name}", make, prior)


def tables(folder: Path, splits: int) -> dict[str, list[str]]:
    """The tables of docs/measurements/schedules.md."""
    matrices = [read(folder, name) for name in SETTINGS]
    return {
        "real runs": table(play_all(matrices, rows_of(matrices, None), splits)),
        "first three": ["|ranking|share|targets|", "|---|---|---|", *first_three(matrices)],
    }


def rows_of(matrices: Sequence[Matrix], budgets: Sequence[float] | None) -> list[Row]:
    """The rows of the table; `budgets` in place of those that the document shows."""
    rich, shuffled, other = (from_others(matrices, wrong) for wrong in ("", "shuffled", "other tasks"))
    small = from_others([one for one in matrices if one.name == "t5_small"])
    return [
        apart("full, 4 seeds", lambda _, runs: FullRule(runs)),
        apart("race 2→4", lambda _, runs: RaceRule(runs, 2, None, 0.9)),
        Row("race 1→4", lambda _, total: Jointly(pooled_race), no_prior),
        apart("halve all, 4, 2, 2", lambda _, runs: HalveRule(runs, ("all", 4, 2, 2))),
        apart("halve all, 4, 3", lambda _, runs: HalveRule(runs, ("all", 4, 3))),
        apart("halve all, 6, 3, 2", lambda _, runs: HalveRule(runs, ("all", 6, 3, 2))),
        *(
            top_two(name, budget, prior, price)
            for name, prior, price, shown in (
                (", prior of 2 settings", rich, 0.0, (0.27,)),
                (f", prior of 2 settings, intermediates at {PRICE:g} runs", rich, PRICE, (0.27,)),
                (", no prior", no_prior, 0.0, (0.3, 0.35)),
                (", prior of T5-small", small, 0.0, ()),
                (", wrong prior: shuffled", shuffled, 0.0, (0.35,)),
                (", wrong prior: other tasks", other, 0.0, (0.35,)),
            )
            for budget in (shown if budgets is None else budgets)
        ),
    ]


def play_all(matrices: Sequence[Matrix], rows: Sequence[Row], splits: int) -> dict[str, Tally]:
    """Every schedule on the same splits of the seeds."""
    splits_of_seeds = list(combinations(range(matrices[0].scores.shape[2]), SEEDS))
    order = np.random.default_rng(0).permutation(len(splits_of_seeds))
    tallies: dict[str, Tally] = defaultdict(Tally)
    for matrix in matrices:
        for number in order[:splits]:
            chosen = list(splits_of_seeds[number])
            rest = [seed for seed in range(matrix.scores.shape[2]) if seed not in chosen]
            curves = {
                target: Curves.from_array(
                    [arm for arm, row in zip(matrix.arms, table, strict=True) if not np.isnan(row).all()],
                    (1.0,),
                    table[~np.isnan(table).all(axis=1)][:, chosen, None],
                )
                for target, table in zip(matrix.targets, matrix.scores, strict=True)
            }
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # an arm whose held-out runs have all failed
                held = np.nanmean(matrix.scores[:, :, rest], axis=2)
            for row in rows:
                given = {target: one.only(row.seeds) for target, one in curves.items()}
                done = replay(given, row.rule(matrix, sum(len(one.points) for one in curves.values())))
                choices_made = {
                    "mean": by_mean(done.outcomes),
                    "ranking": ranked(done.outcomes),
                    "joint": jointly(matrix, done.outcomes, row.prior(matrix)),
                }
                grade(tallies[row.name], matrix, held, curves, done, choices_made)
            print(".", end="", flush=True, file=sys.stderr)
    return tallies


def grade(
    tally: Tally,
    matrix: Matrix,
    held: FloatArray,
    curves: Mapping[str, Curves],
    done: Replayed,
    picks: Mapping[str, Picks],
) -> None:
    """Adds one matrix and split."""
    for chooser, chosen in picks.items():
        for target, truth in zip(matrix.targets, held, strict=True):
            pick = chosen[target]
            regret = float(np.nanmax(truth) - truth[matrix.arms.index(pick.arm)])
            tally.rows[chooser].append((float(regret == 0.0), regret, pick.said, pick.said_held))
    tally.groups += [f"{matrix.name} {target}" for target in matrix.targets]
    total = sum(len(one.points) for one in curves.values())
    every = {run for one in curves.values() for run in one.points}
    tally.runs.append(done.seconds / total)
    tally.costs.append((done.seconds + PRICE * len(done.intermediates)) / (total + PRICE * len(every)))


def table(tallies: Mapping[str, Tally]) -> list[str]:
    """The table; differences are to the full grid, ranked."""
    full, raced = tallies["full, 4 seeds"], float(np.mean(tallies["race 2→4"].runs))
    lines = [
        f"|schedule|share of the runs|of race's|cost, intermediates at {PRICE:g} runs|bare means: found|regret, points"
        "|ranked: found|regret, points|P(best) said|joint: found|minus full grid|regret, points|minus full grid"
        "|P(best) said|of held-out seeds|",
        "|" + "---|" * 15,
    ]
    for name, tally in tallies.items():
        share = float(np.mean(tally.runs))
        found, regret, said, _ = tally.means("ranking")
        joint, bare = tally.means("joint"), tally.means("mean")
        lines.append(
            f"|{name}|{share:.3f}|{share / raced:.2f}|{np.mean(tally.costs):.2f}|{bare[0]:.3f}|{bare[1]:.2f}"
            f"|{found:.3f}|{regret:.2f}|{said:.2f}"
            f"|{joint[0]:.3f}|{tally.difference('joint', full, 0)}|{joint[1]:.2f}|{tally.difference('joint', full, 1)}"
            f"|{joint[2]:.2f}|{joint[3]:.2f}|"
        )
    return lines


def first_three(matrices: Sequence[Matrix]) -> list[str]:
    """How often the best arm by all 8 seeds is among the first three of a ranking that has seen none of them."""
    small = [one for one in matrices if one.name == "t5_small"]
    hits: dict[str, list[float]] = defaultdict(list)
    for matrix in matrices:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # an arm that a target does not have
            means = np.nanmean(matrix.scores, axis=2)
        spread = np.nanstd(means, axis=1, keepdims=True)
        standing = (means - np.nanmean(means, axis=1, keepdims=True)) / spread
        rankings = {
            "chance": None,
            "mean standing on the other targets": np.array(
                [np.nanmean(np.delete(standing, row, axis=0), axis=0) for row in range(len(standing))]
            ),
            "T5-small's matrix": from_others(small)(matrix),
            "the other two settings' matrices": from_others(matrices)(matrix),
        }
        for name, ranking in rankings.items():
            for row, known in enumerate(means):
                there = np.flatnonzero(~np.isnan(known))
                best = int(np.nanargmax(known))
                if name == "chance":
                    hits[name].append(3 / len(there))
                elif ranking is not None:
                    first = there[np.argsort(-ranking[row, there], kind="stable")[:3]]
                    hits[name].append(float(best in first))
    return [f"|{name}|{np.mean(values):.2f}|{len(values)}|" for name, values in hits.items()]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tables", type=Path, required=True, help="folder of taskweb_*_runs.csv")
    parser.add_argument("--splits", type=int, default=8, help="choices of 4 of the 8 seeds")
    parser.add_argument("--budgets", type=float, nargs="+", help="of top_two, in place of those that are shown")
    parser.add_argument("--only", default="", help="rows whose name holds this, beside the full grid and race")
    arguments = parser.parse_args()
    started = time.perf_counter()
    matrices = [read(arguments.tables, name) for name in SETTINGS]
    rows = rows_of(matrices, arguments.budgets)
    kept = [row for row in rows if row.name in ("full, 4 seeds", "race 2→4") or arguments.only in row.name]
    tallies = play_all(matrices, kept, arguments.splits)
    print(f"{len(SETTINGS)} settings of 21 targets, {arguments.splits} splits; ± one standard error over 63 targets\n")
    print("\n".join(table(tallies)))
    print("\nThe best arm by all seeds is among the first three:\n\n|ranking|share|targets|\n|---|---|---|")
    print("\n".join(first_three(matrices)))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
