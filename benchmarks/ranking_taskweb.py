"""Ranks from 2 to 4 of 8 real seeds against 4 others, with the bare mean as the alternative.

The tables are TaskWeb's runs (Kim et al., "TaskWeb: Selecting Better Source Tasks for Multi-task NLP", EMNLP 2023),
one file a setting, in long form: columns intermediate, target, seed, metric, value (in percent). They are not part of
this project. No target has a run without an intermediate task, so that only the order and the arms' scores are tested.
The 8 seeds are split 8 times into 4 to rank from (the first 2, 3 or all of them) and 4 to compare with. Failed runs are
flagged by the chance rule with the score of the best constant answer. "First" is the arm with the highest mean over the
held-out seeds (tied ones share it); "said" is the probability that the chosen arm is first, the noise of the held-out
means included.

    OMP_NUM_THREADS=1 python benchmarks/ranking_taskweb.py taskweb_*_runs.csv
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raystilts.ranking.degenerate import Flag, RunFacts, flag_run
from raystilts.ranking.draws import best_of, smallest_set
from raystilts.ranking.joint import joint_posterior
from raystilts.ranking.overall import align, rank_overall
from raystilts.ranking.posterior import Posterior, rank_arms

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
METRICS = {"stsb": ("spearmanr", "pearson")}  # the first that a table has; every other target: accuracy
# guessing score and size of the published dev set, for the chance rule
CHANCE = {
    "anli_r3": (1 / 3, 1200),
    "boolq": (0.5, 3270),
    "cb": (1 / 3, 56),
    "copa": (0.5, 100),
    "cosmosqa": (0.25, 2985),
    "hellaswag": (0.25, 10042),
    "imdb": (0.5, 25000),
    "mrpc": (0.5, 408),
    "piqa": (0.5, 1838),
    "qnli": (0.5, 5463),
    "qqp": (0.5, 40430),
    "quartz": (0.5, 384),
    "rotten_tomatoes": (0.5, 1066),
    "rte": (0.5, 277),
    "scitail": (0.5, 1304),
    "snli": (1 / 3, 9842),
    "socialiqa": (1 / 3, 1954),
    "wic": (0.5, 638),
    "winogrande": (0.5, 1267),
    "wsc": (0.5, 104),
}
# the best constant answer, which the rule of a study uses, where it is better than guessing
CONSTANT = CHANCE | {
    "boolq": (0.622, 3270),
    "cb": (0.5, 56),
    "copa": (0.55, 100),
    "mrpc": (0.684, 408),
    "qnli": (0.505, 5463),
    "qqp": (0.632, 40430),
    "rte": (0.527, 277),
    "snli": (0.338, 9842),
    "wsc": (0.635, 104),
}
SPLITS, HALF = 8, 4
LEVELS = (0.5, 0.8, 0.95)
Row = dict[str, float]
Chances = dict[str, tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Target:
    """One target of one setting.

    Attributes:
        setting: File that it is from.
        name: The target.
        arms: Intermediates.
        scores: ``[arms, seeds]`` without the flagged runs.
        flagged: Runs that were flagged.
        learnt: Whether fewer than half of its runs are at chance.
    """

    setting: str
    name: str
    arms: tuple[str, ...]
    scores: FloatArray
    flagged: int
    learnt: bool


def read(path: Path) -> dict[str, FloatArray]:
    """``scores[intermediate, seed]`` of every target, nan where the table has none."""
    return {target: scores for target, (_, scores) in read_named(path).items()}


def read_named(path: Path) -> dict[str, tuple[tuple[str, ...], FloatArray]]:
    """The same with the names of the intermediates."""
    cells: dict[str, dict[str, dict[tuple[str, str], float]]] = defaultdict(lambda: defaultdict(dict))
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = float(row["value"]) if row["value"] else np.nan
            cells[row["target"]][row["metric"]][row["intermediate"], row["seed"]] = value
    tables = {}
    for target, metrics in sorted(cells.items()):
        values = next(metrics[name] for name in METRICS.get(target, ("accuracy",)) if name in metrics)
        names, seeds = (sorted({key[i] for key in values}) for i in (0, 1))
        tables[target] = (tuple(names), np.array([[values.get((n, s), np.nan) for s in seeds] for n in names]))
    return tables


def flags_of(target: str, scores: FloatArray, chances: Chances) -> list[Flag | None]:
    """The flag of every run by the chance rule."""
    chance, examples = chances.get(target, (None, None))
    return [
        flag_run(RunFacts(dev_score=value / 100, dev_examples=examples, chance=chance))
        for value in scores.ravel()
    ]  # fmt: skip


def chance_applies(flags: Sequence[Flag | None]) -> bool:
    """Whether fewer than half of the runs are at chance: else to drop them would keep the lucky ones."""
    return 2 * sum(flag is not None and flag.rule == "chance" for flag in flags) < len(flags)


def flagged(target: str, scores: FloatArray, chances: Chances = CHANCE) -> FloatArray:
    """The table without degenerate runs: nan, or not above chance where most runs are."""
    flags = flags_of(target, scores, chances)
    rules = {"nan", "chance"} if chance_applies(flags) else {"nan"}
    failed = [flag is not None and flag.rule in rules for flag in flags]
    return np.where(np.reshape(failed, scores.shape), np.nan, scores)


def targets(paths: list[Path]) -> Iterator[Target]:
    """Every target of every setting."""
    for path in paths:
        for name, (arms, scores) in read_named(path).items():
            table = flagged(name, scores, CONSTANT)
            learnt = chance_applies(flags_of(name, scores, CONSTANT))
            yield Target(path.stem, name, arms, table, int(np.isnan(table).sum()), learnt)


def splits(seeds: int, number: int = SPLITS) -> list[IntArray]:
    """Orders of the seeds: the first four are ranked from, the others are held out; all choices of four where asked."""
    rng = np.random.default_rng(0)
    halves = list(combinations(range(seeds), HALF))
    if number < len(halves):
        return [rng.permutation(seeds) for _ in range(number)]
    return [np.append(rng.permutation(half), np.setdiff1d(np.arange(seeds), half)) for half in halves]


def future(answer: Posterior, runs: IntArray, rng: np.random.Generator) -> FloatArray:
    """``[arms, draws]``: what the posterior expects the means of so many new runs to be."""
    if hasattr(answer, "future"):
        return np.asarray(answer.future(runs, rng))
    # builds with one variance for the stratum
    noise = (answer.fit.variance / np.maximum(runs, 1)) ** 0.5
    return np.asarray(answer.draws + noise[:, None] * rng.standard_normal(answer.draws.shape))


def trial(scores: FloatArray, held: FloatArray, name: str) -> dict[str, Row]:
    """One split of one target: what each method chose, said and got."""
    runs = (~np.isnan(held)).sum(axis=1)
    truth = np.array([_mean(row) for row in held])
    rng = np.random.default_rng(len(name))
    table = np.vstack([np.full(scores.shape[1], np.nan), scores])  # arm 0, none, has no run
    answer = rank_arms(table, stream=name)
    new = future(answer, np.concatenate([[0], runs]), rng)[1:]
    first = np.flatnonzero(truth == np.nanmax(truth))
    alive = answer.competes[1:] & (runs > 0)
    top, _ = best_of(new, alive)
    leader = (answer.leader or 1) - 1
    row = _outcome(truth, leader, float(np.nan_to_num(top[leader])))
    row["p_best"] = float(np.nan_to_num(answer.p_best[leader + 1]))
    row["set holds first"] = max(float(i + 1 in answer.best_set) for i in first)
    row["set size"] = float(len(answer.best_set))
    for level in LEVELS:
        low, high = np.quantile(new, [(1 - level) / 2, (1 + level) / 2], axis=1)
        row[f"{level:.2f} covers"] = float(((truth >= low) & (truth <= high))[alive].mean())
    row["rmse"] = float(((answer.draws[1:].mean(axis=1) - truth)[alive] ** 2).mean() ** 0.5)
    means = np.array([_mean(row) for row in scores])
    naive = int(np.nanargmax(means))
    drawn = scores[:, rng.integers(0, scores.shape[1], (400, scores.shape[1]))]
    filled = np.where(np.isnan(drawn), means[:, None, None], drawn).mean(axis=2)
    filled[np.isnan(filled)] = -np.inf
    bare = _outcome(truth, naive, float((filled.argmax(axis=0) == naive).mean()))
    return {"raystilts": row, "bare mean": bare | {"set holds first": bare["found"], "set size": 1.0}}


def _outcome(truth: FloatArray, chosen: int, said: float) -> Row:
    regret = float(np.nanmax(truth) - truth[chosen])
    found = float(regret == 0.0) / int((truth == np.nanmax(truth)).sum())
    return {"found": found, "regret": regret, "said": said, "brier": (said - found) ** 2}


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan


def evaluate(chosen: list[Target], seeds: int, split: int = SPLITS) -> dict[str, list[list[Row]]]:
    """For each method and target the rows of its splits."""
    results: dict[str, list[list[Row]]] = {"raystilts": [], "bare mean": []}
    for target in chosen:
        rows: dict[str, list[Row]] = defaultdict(list)
        for number, order in enumerate(splits(target.scores.shape[1], split)):
            kept, held = order[:seeds], order[HALF:]
            name = f"{target.setting}/{target.name}/{number}"
            for method, row in trial(target.scores[:, kept], target.scores[:, held], name).items():
                rows[method].append(row)
        for method, found in rows.items():
            results[method].append(found)
    return results


def as_none(chosen: list[Target], seeds: int) -> str:
    """How often an arm leads that stands in the place of none, and how often it is first in truth."""
    leads, first = [], []
    for target in chosen:
        arms = len(target.scores)
        for number, order in enumerate(splits(target.scores.shape[1])):
            truth = np.array([_mean(row) for row in target.scores[:, order[HALF:]]])
            for arm in range(0, arms, 3):
                rows = [arm, *(i for i in range(arms) if i != arm)]
                table = target.scores[rows][:, order[:seeds]]
                if not np.isnan(table[0]).all():
                    leads.append(rank_arms(table, stream=f"{target.name}{number}").leader == 0)
                    first.append(truth[arm] == np.nanmax(truth))
    return f"|{seeds}|{np.mean(leads):.3f}|{np.mean(first):.3f}|"


def over_targets(chosen: list[Target], seeds: int) -> str:
    """The arm with the best mean rank over a setting's targets, which no arm has all of, against held-out seeds."""
    rows: dict[str, list[float]] = defaultdict(list)
    for setting in dict.fromkeys(target.setting for target in chosen):
        own = [target for target in chosen if target.setting == setting]
        names = sorted({arm for target in own for arm in target.arms})
        places = [[None, *(t.arms.index(n) + 1 if n in t.arms else None for n in names)] for t in own]
        for number, order in enumerate(splits(8)):
            seen, true = [], []
            for target in own:
                table = np.vstack([np.full(8, np.nan), target.scores])
                means = np.array([[_mean(row)] for row in table[:, order[HALF:]]])
                seen.append(rank_arms(table[:, order[:seeds]], stream=f"{target.name}{number}"))
                true.append(rank_arms(means, deterministic=[True] * len(means)))
            answer, truth = (rank_overall(list(map(align, part, places))) for part in (seen, true))
            pick = answer.rank_set[0] if answer.rank_set else 0
            ranks = [arm.mean_rank for arm in truth.arms]
            rows["targets of the chosen arm"].append(answer.arms[pick].targets)
            rows["said"].append(answer.arms[pick].p_best_rank or 0.0)
            rows["first"].append(float(pick in truth.rank_set))
            known = [rank for rank in ranks if rank is not None]
            rows["mean rank lost"].append((ranks[pick] or np.nan) - min(known) if known else np.nan)
            rows["arms that compete"].append(sum(arm.mean_rank is not None for arm in answer.arms))
    return f"|{seeds}|" + "|".join(f"{np.mean(values):.2f}" for values in rows.values()) + "|"


def joined(chosen: list[Target], seeds: int) -> list[list[Row]]:
    """Rows as of `trial`, by the posterior that all targets of a setting share (`ranking.joint`, no prior)."""
    rows: dict[int, list[Row]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for setting in dict.fromkeys(target.setting for target in chosen):
        own = [target for target in chosen if target.setting == setting]
        names = sorted({arm for target in own for arm in target.arms})
        table = np.full((len(own), len(names), own[0].scores.shape[1]), np.nan)
        for place, target in enumerate(own):
            table[place, [names.index(arm) for arm in target.arms]] = target.scores
        for number, order in enumerate(splits(table.shape[2])):
            found = joint_posterior(table[:, :, order[:seeds]], stream=f"{setting}{number}")
            held = table[:, :, order[HALF:]]
            for place, target in enumerate(own):
                runs = (~np.isnan(held[place])).sum(axis=1)
                seen = ~np.isnan(table[place][:, order[:seeds]]).all(axis=1)
                truth = np.array([_mean(row) for row in held[place]])
                draws = found.theta[place]
                noise = found.sigma[place] / np.maximum(runs, 1) ** 0.5
                new = draws + noise[:, None] * rng.standard_normal(draws.shape)
                alive = seen & (runs > 0)
                _, regret = best_of(draws, seen)
                leader = int(np.nanargmin(regret))
                row = _outcome(truth, leader, float(np.nan_to_num(best_of(new, alive)[0][leader])))
                for level in LEVELS:
                    low, high = np.quantile(new, [(1 - level) / 2, (1 + level) / 2], axis=1)
                    row[f"{level:.2f} covers"] = float(((truth >= low) & (truth <= high))[alive].mean())
                p_best, _ = best_of(draws, seen)
                best_set = smallest_set(p_best, draws.mean(axis=1), 0.95)
                first = np.flatnonzero(truth == np.nanmax(truth))
                row |= {"set holds first": float(any(i in best_set for i in first)), "set size": float(len(best_set))}
                row["rmse"] = float(((draws.mean(axis=1) - truth)[alive] ** 2).mean() ** 0.5)
                rows[chosen.index(target)].append(row)
    return [rows[place] for place in sorted(rows)]


def line(rows: list[list[Row]], key: str, digits: int = 3) -> str:
    """The mean over targets."""
    found = [np.mean([row[key] for row in target]) for target in rows if key in target[0]]
    return f"{np.mean(found):.{digits}f}" if found else ""


def difference(results: dict[str, list[list[Row]]], key: str) -> str:
    """raystilts less the bare mean, with the standard error over targets: the splits of one target overlap."""
    means = [np.array([np.mean([row[key] for row in target]) for target in rows]) for rows in results.values()]
    gap = means[0] - means[1]
    return f"{gap.mean():+.3f} ± {gap.std(ddof=1) / len(gap) ** 0.5:.3f}"


def fifths(rows: list[list[Row]]) -> list[str]:
    """Said and true in each fifth of the answers by what they say; ± is one standard error over targets."""
    pairs = np.array([(row["said"], row["found"], k) for k, target in enumerate(rows) for row in target])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    lines = []
    for part in np.array_split(pairs, 5):
        gaps = part[:, 1] - part[:, 0]
        owners = part[:, 2].astype(int)
        sums = np.bincount(owners, gaps - gaps.mean())
        error = float((sums**2).sum() ** 0.5 / len(part))
        lines.append(f"{part[:, 0].mean():.2f} is {part[:, 1].mean():.2f} ± {error:.2f}")
    return lines


def report(
    chosen: list[Target], title: str, counts: list[int], together: bool = False, split: int = SPLITS
) -> None:
    """Prints the tables of some targets."""
    keys = ["found", "regret", "said", "brier", "set size", "set holds first"]
    keys += [f"{level:.2f} covers" for level in LEVELS] + ["rmse"]
    print(f"\n{title}: {len(chosen)} targets\n\n|seeds|method|{'|'.join(keys)}|")
    print("|---" * (len(keys) + 2) + "|")
    calibration = []
    for seeds in counts:
        results = evaluate(chosen, seeds, split)
        if together:
            results["targets together"] = joined(chosen, seeds)
        for method, rows in results.items():
            print(f"|{seeds}|{method}|" + "|".join(line(rows, key) for key in keys) + "|")
        gaps = "|".join(difference(results, key) for key in keys[:2])
        print(f"|{seeds}|difference|{gaps}" + "|" * (len(keys) - 1))
        calibration += [f"|{seeds}|{method}|" + "|".join(fifths(rows)) + "|" for method, rows in results.items()]
    print("\n|seeds|method|lowest fifth said|second|third|fourth|highest|\n|---|---|---|---|---|---|---|")
    print("\n".join(calibration))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("tables", type=Path, nargs="+", help="one file a setting, such as taskweb_t5_small_runs.csv")
    parser.add_argument("--seeds", default="2,3,4", help="seeds to rank from")
    parser.add_argument("--each", action="store_true", help="also every setting by itself")
    parser.add_argument("--joint", action="store_true", help="also the posterior of all targets of a setting, alone")
    parser.add_argument("--splits", type=int, help="of the seeds, of learnt targets alone; 70 are all choices of 4")
    arguments = parser.parse_args()
    chosen = list(targets(arguments.tables))
    counts = [int(text) for text in arguments.seeds.split(",")]
    lost, runs = sum(target.flagged for target in chosen), sum(target.scores.size for target in chosen)
    hard = [f"{target.setting} {target.name}" for target in chosen if not target.learnt]
    print(f"{lost} of {runs} runs flagged; half of the runs or more at chance: {', '.join(hard) or 'no target'}")
    learnt = [target for target in chosen if target.learnt]
    if arguments.splits:
        report(learnt, "Targets that are learnt", counts, split=arguments.splits)
        return
    if not arguments.joint:
        report(chosen, "All settings", counts)
    report(learnt, "Targets that are learnt", counts, arguments.joint)
    if arguments.joint:
        return
    print("\nAn arm in the place of none:\n\n|seeds|it leads|it is first|\n|---|---|---|")
    print("\n".join(as_none(learnt, seeds) for seeds in counts))
    print("\nOver the targets of a setting, by mean rank; no arm has all of them:\n")
    print("|seeds|targets of the chosen arm|said|first|mean rank lost|arms that compete|\n|---|---|---|---|---|---|")
    print("\n".join(over_targets(learnt, seeds) for seeds in counts))
    if arguments.each:
        for setting in dict.fromkeys(target.setting for target in chosen):
            report([target for target in chosen if target.setting == setting], setting, counts)


if __name__ == "__main__":
    main()
