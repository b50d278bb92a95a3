"""Ranks from 3 of 8 real seeds against the other 5, with the bare mean as the alternative.

The table is TaskWeb's T5-small runs (Kim et al., "TaskWeb: Selecting Better Source Tasks for
Multi-task NLP", EMNLP 2023) in long form: columns intermediate, target, seed, metric, value (in
percent). It is not part of this project. There is no run without an intermediate task, so gains
are unavailable and only the order is tested. For every target and all 56 choices of 3 seeds:
rank, choose, and score the choice by its mean over the 5 held-out seeds.

    OMP_NUM_THREADS=1 python benchmarks/ranking_taskweb.py --table taskweb_t5_small_runs.csv
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raystilts.ranking import Flag, RunFacts, flag_run, mask_failed, rank_arms
from raystilts.ranking.degenerate import chance_applies
from raystilts.ranking.draws import best_of

FloatArray = npt.NDArray[np.float64]
METRICS = {"stsb": "spearmanr"}  # every other target: accuracy
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
Row = dict[str, float]


def read(path: Path) -> dict[str, FloatArray]:
    """``scores[intermediate, seed]`` of every target, nan where the table has none."""
    cells: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["metric"] == METRICS.get(row["target"], "accuracy"):
                value = float(row["value"]) if row["value"] else np.nan
                cells[row["target"]][row["intermediate"], row["seed"]] = value
    tables = {}
    for target, values in sorted(cells.items()):
        names, seeds = (sorted({key[i] for key in values}) for i in (0, 1))
        tables[target] = np.array([[values.get((n, s), np.nan) for s in seeds] for n in names])
    return tables


def flagged(target: str, scores: FloatArray) -> FloatArray:
    """The table without degenerate runs: nan, or not above chance where most runs are."""
    chance, examples = CHANCE.get(target, (None, None))
    flags: list[Flag | None] = [
        flag_run(RunFacts(dev_score=value / 100, dev_examples=examples, chance=chance))
        for value in scores.ravel()
    ]
    rules = {"nan", "chance"} if chance_applies(flags) else {"nan"}
    failed = [flag is not None and flag.rule in rules for flag in flags]
    return mask_failed(scores, np.reshape(failed, scores.shape))


def trial(scores: FloatArray, truth: FloatArray, held: int, name: str) -> dict[str, Row]:
    """One choice of seeds: what each method chose, said and got."""
    table = np.vstack([np.full(scores.shape[1], np.nan), scores])  # arm 0, none, has no run
    answer = rank_arms(table, stream=name)
    leader = (answer.leader or 1) - 1
    alive = ~np.isnan(scores).all(axis=1)
    means = np.full(len(scores), -np.inf)
    means[alive] = np.nanmean(scores[alive], axis=1)
    naive = int(np.argmax(means))
    rng = np.random.default_rng(len(name))
    drawn = scores[:, rng.integers(0, scores.shape[1], (400, scores.shape[1]))]
    filled = np.where(np.isnan(drawn), means[:, None, None], drawn).mean(axis=2)
    votes = np.bincount(filled.argmax(axis=0), minlength=len(means)) / filled.shape[1]
    # what the posterior expects of five new seeds: comparable with what the held-out ones show
    new = answer.draws[1:] + rng.normal(
        0.0, (answer.fit.variance / held) ** 0.5, answer.draws[1:].shape
    )
    top, _ = best_of(new, answer.competes[1:])
    best = float(np.nanmax(truth))
    hit = float(np.nanargmax(truth))
    return {
        "HBC": {
            "regret": best - truth[leader],
            "chosen top in held-out seeds": float(hit == leader),
            "said": float(top[leader]),
            "P(best) said": answer.arms[leader + 1].p_best or 0.0,
            "set holds held-out top": float(int(hit) + 1 in answer.best_set),
            "set size": float(len(answer.best_set)),
        },
        "bare mean": {
            "regret": best - truth[naive],
            "chosen top in held-out seeds": float(hit == naive),
            "said": float(votes[naive]),
            "P(best) said": float(votes[naive]),
            "set holds held-out top": float(hit == naive),
            "set size": 1.0,
        },
    }


def evaluate(tables: dict[str, FloatArray], flags: bool, seeds: int) -> dict[str, FloatArray]:
    """``[targets, numbers]`` of each method, averaged over the choices of seeds."""
    results: dict[str, list[list[float]]] = defaultdict(list)
    for target, full in tables.items():
        scores = flagged(target, full) if flags else full
        rows: dict[str, list[Row]] = defaultdict(list)
        for chosen in combinations(range(scores.shape[1]), seeds):
            rest = [s for s in range(scores.shape[1]) if s not in chosen]
            truth = np.array([_mean(row[rest]) for row in scores])
            parts = trial(scores[:, list(chosen)], truth, len(rest), f"{target}{chosen}")
            for method, row in parts.items():
                rows[method].append(row)
        for method, trials in rows.items():
            results[method].append([_mean(np.array([t[k] for t in trials])) for k in trials[0]])
    return {method: np.array(values) for method, values in results.items()}


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", type=Path, required=True, help="taskweb_t5_small_runs.csv")
    parser.add_argument("--seeds", type=int, default=3, help="seeds to rank from")
    arguments = parser.parse_args()
    tables = read(arguments.table)
    for target, scores in tables.items():
        lost = int(np.isnan(flagged(target, scores)).sum())
        if lost:
            print(f"{target}: {lost} of {scores.size} runs flagged")
    print(
        "\n|runs|method|regret, points|top of held-out seeds: said|true|P(best) said"
        "|set holds top|set size|\n|---|---|---|---|---|---|---|---|"
    )
    for flags in (False, True):
        results = evaluate(tables, flags, arguments.seeds)
        for method, values in results.items():
            regret, hit, said, p_best, holds, size = values.mean(axis=0)
            name = "flagged ones left out" if flags else "all"
            # targets are the replicates: the choices of seeds of one target overlap
            error = (values[:, 2] - values[:, 1]).std(ddof=1) / len(values) ** 0.5
            print(
                f"|{name}|{method}|{regret:.2f}|{said:.2f}|{hit:.2f} ± {error:.2f}|{p_best:.2f}"
                f"|{holds:.2f}|{size:.1f}|"
            )
        gap = results["bare mean"][:, 0] - results["HBC"][:, 0]
        error = gap.std(ddof=1) / len(gap) ** 0.5
        print(f"|{name}|bare mean - HBC|{gap.mean():.2f} ± {error:.2f}||||||")


if __name__ == "__main__":
    main()
