"""Does the posterior keep its promises? Coverage, P(best) and sets on simulated strata.

Each stratum has none and 12 intermediates. Gains over none follow one of four shapes in turn:
normal, heavy-tailed (t with 3 degrees of freedom), one good arm among equal ones, and no effects.
Gain spread .8 to 4.5 points and seed noise .4 to 4 points (log-uniform), seed shifts common to all
arms, failed runs with a rate of 0 to 10 % that are flagged (missing).

    OMP_NUM_THREADS=1 python benchmarks/ranking_simulation.py --strata 600 --seeds 3,5
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.ranking.contrasts import Contrasts
from raystilts.ranking.mcb import compare_with_best
from raystilts.ranking.posterior import rank_arms

FloatArray = npt.NDArray[np.float64]
SHAPES = ("normal", "heavy", "lone", "null")
ARMS = 13


@dataclass(frozen=True, slots=True)
class Stratum:
    """True scores, noise and the table that a study would see."""

    shape: str
    truth: FloatArray
    sigma: float
    scores: FloatArray


def strata(number: int, seeds: int, seed: int = 0) -> Iterator[Stratum]:
    """Simulated strata with fixed random numbers."""
    rng = np.random.default_rng((seed, seeds))
    for k in range(number):
        shape = SHAPES[k % len(SHAPES)]
        spread, sigma = np.exp(rng.uniform(np.log([0.8, 0.4]), np.log([4.5, 4.0])))
        truth = np.zeros(ARMS)
        if shape == "normal":
            truth[1:] = rng.normal(0.3 * spread, spread, ARMS - 1)
        elif shape == "heavy":
            truth[1:] = spread * rng.standard_t(3, ARMS - 1) / 3**0.5
        elif shape == "lone":
            truth[rng.integers(1, ARMS)] = 2.0 * spread
        common = sigma * rng.uniform(0.0, 1.0) ** 0.5 * rng.standard_normal(seeds)
        scores = 60.0 + truth[:, None] + common + sigma * rng.standard_normal((ARMS, seeds))
        failed = rng.random(scores.shape) < rng.uniform(0.0, 0.1)
        failed[0, 0] &= not failed[0].all()  # a baseline that fails throughout is run again
        scores[failed] = np.nan
        yield Stratum(shape, truth, float(sigma), scores)


def measure(stratum: Stratum, name: str) -> dict[str, float]:
    """One row of numbers; nan where the stratum cannot say (null strata have no best arm)."""
    answer = rank_arms(stratum.scores, stream=name)
    truth, sigma = stratum.truth, stratum.sigma
    true_gain = truth - truth[0]
    gains, lows, highs = answer.gains
    arms = [arm for arm in range(1, len(truth)) if np.isfinite(gains[arm]) and np.isfinite(lows[arm])]
    inside = {arm: bool(_within(true_gain[arm], lows[arm], highs[arm])) for arm in arms}
    contrasts = Contrasts(stratum.scores[None])
    plain = [(arm, contrasts.difference([arm], [0], [1.0])) for arm in range(1, len(truth))]
    plain_arms = [(arm, found) for arm, found in plain if found.value is not None]
    winner = max(arms, key=lambda arm: float(gains[arm]))
    winner_arm, raw = max(plain_arms, key=lambda one: one[1].value or 0.0)
    best = float(np.max(truth))
    leader = answer.leader or 0
    real = stratum.shape != "null"
    strict = compare_with_best(stratum.scores)
    return {
        "gain coverage": float(np.mean(list(inside.values()))),
        "winner coverage": float(inside[winner]),
        "winner bias /sigma": (float(gains[winner]) - true_gain[winner]) / sigma,
        "t coverage": float(
            np.mean([_within(true_gain[arm], found.low, found.high) for arm, found in plain_arms])
        ),
        "t winner coverage": float(_within(true_gain[winner_arm], raw.low, raw.high)),
        "t winner bias /sigma": ((raw.value or 0.0) - true_gain[winner_arm]) / sigma,
        "P(best) said": float(np.nan_to_num(answer.p_best[leader])),
        "P(best) true": float(truth[leader] >= best) if real else np.nan,
        "regret said /sigma": float(np.nan_to_num(answer.regret[leader])) / sigma,
        "regret true /sigma": (best - truth[leader]) / sigma,
        "set coverage": float(np.argmax(truth) in answer.best_set) if real else np.nan,
        "set size": float(len(answer.best_set)),
        "strict coverage": float(np.argmax(truth) in strict.best_set) if real else np.nan,
        "strict size": float(len(strict.best_set)),
        "any false gain": float(any(lows[arm] > 0.0 for arm in arms)) if not real else np.nan,
    }


def _within(value: float, low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= value <= high


def table(columns: dict[str, list[dict[str, float]]], rows: list[str]) -> str:
    """A Markdown table of means with their standard errors, over the strata that can say."""
    lines = ["| |" + "|".join(columns) + "|", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = []
        for results in columns.values():
            values = np.array([r[row] for r in results])
            values = values[~np.isnan(values)]
            error = values.std() / max(len(values), 1) ** 0.5 if len(values) else np.nan
            cells.append(f"{values.mean():.3f} ± {error:.3f}" if len(values) else "-")
        lines.append(f"|{row}|" + "|".join(cells) + "|")
    return "\n".join(lines)


def by_shape(shapes: dict[str, list[dict[str, float]]], names: list[str]) -> str:
    """A Markdown table with a row a shape and seed count: means of the named numbers."""
    lines = ["|effects, seeds|" + "|".join(names) + "|", "|---" * (len(names) + 1) + "|"]
    for shape, results in sorted(shapes.items()):
        values = np.array([[r[name] for name in names] for r in results])
        cells = ["-" if np.isnan(c).any() else f"{c.mean():.3f}" for c in values.T]
        lines.append(f"|{shape}|" + "|".join(cells) + "|")
    return "\n".join(lines)


def calibration(results: list[dict[str, float]]) -> str:
    """P(best) said against the share of strata in which the leader is the best arm."""
    lines = ["|P(best) said|strata|mean said|true|", "|---|---|---|---|"]
    said = np.array([r["P(best) said"] for r in results])
    true = np.array([r["P(best) true"] for r in results])
    for low, high in ((0.0, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.01)):
        inside = (said >= low) & (said < high) & ~np.isnan(true)
        if inside.any():
            lines.append(
                f"|{low:.2f} to {min(high, 1.0):.2f}|{inside.sum()}|{said[inside].mean():.3f}"
                f"|{true[inside].mean():.3f}|"
            )
    return "\n".join(lines)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--strata", type=int, default=600, help="simulated strata a seed count")
    parser.add_argument("--seeds", default="3,5", help="seeds an arm, comma-separated")
    arguments = parser.parse_args()
    columns: dict[str, list[dict[str, float]]] = {}
    shapes: dict[str, list[dict[str, float]]] = defaultdict(list)
    for seeds in (int(text) for text in arguments.seeds.split(",")):
        results = []
        for k, stratum in enumerate(strata(arguments.strata, seeds)):
            results.append(measure(stratum, f"{seeds}/{k}"))
            shapes[f"{stratum.shape}, {seeds}"].append(results[-1])
        columns[f"{seeds} seeds"] = results
    rows = list(next(iter(columns.values()))[0])
    # P(best) said is compared where there is a best arm: null strata have none
    kept = {n: [r for r in c if not np.isnan(r["P(best) true"])] for n, c in columns.items()}
    best = ["P(best) said", "P(best) true", "regret said /sigma", "regret true /sigma"]
    print(table(columns, [row for row in rows if row not in best]))
    print("\nStrata with a best arm:\n")
    print(table(kept, best))
    print("\nBy shape of the effects:\n")
    names = ["gain coverage", "winner coverage", *best, "set coverage", "set size"]
    print(by_shape(shapes, names))
    for name, results in columns.items():
        print(f"\nCalibration of P(best), {name}:\n")
        print(calibration(results))


if __name__ == "__main__":
    main()
