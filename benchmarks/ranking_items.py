"""Do intervals over seeds and items hold what they say? Coverage at 50, 200 and 1,000 items, and what is decided.

Simulated strata of none and 4 intermediates with 3 seeds. A run is right on an item with the probability of
``logistic(arm + item + arm by item + run + run by item)``: hard and easy items (s.d. 1.5), an arm's own luck with an
item, the same for all its seeds (s.d. `--luck`), and noise of a run on an item (s.d. `--own`) and as a whole (.05).
The truth of an arm is its score on many items (10,000, 20 runs). Half of the strata have arms that are all equal: what
is decided there is decided by luck.

    OMP_NUM_THREADS=1 python benchmarks/ranking_items.py
    OMP_NUM_THREADS=1 python benchmarks/ranking_items.py --luck 3 --own 0.1   # seeds agree on most items
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.ranking.items import binomial_noise, item_noise
from raystilts.ranking.posterior import Posterior, rank_arms

FloatArray = npt.NDArray[np.float64]
ARMS, SEEDS, BOOTSTRAP = 5, 3, 1000


@dataclass(frozen=True, slots=True)
class Stratum:
    """Right answers ``[arms, seeds, items]`` and the true scores."""

    right: FloatArray
    truth: FloatArray


def stratum(items: int, equal: bool, spread: tuple[float, float], rng: np.random.Generator) -> Stratum:
    """One simulated stratum."""
    level = rng.normal(1.0, 0.3) + (np.zeros(ARMS) if equal else 0.25 * rng.normal(size=ARMS))

    def draw(number: int, runs: FloatArray) -> FloatArray:
        hard, luck = 1.5 * rng.normal(size=number), spread[0] * rng.normal(size=(ARMS, 1, number))
        own = spread[1] * rng.normal(size=(ARMS, runs.shape[1], number))
        return np.asarray(1.0 / (1.0 + np.exp(-(level[:, None, None] + hard + luck + runs[:, :, None] + own))))

    sure = draw(items, 0.05 * rng.normal(size=(ARMS, SEEDS)))
    truth = np.concatenate([draw(2000, 0.05 * rng.normal(size=(ARMS, 20))) for _ in range(5)], axis=2).mean(axis=(1, 2))
    if equal:
        truth = np.full(ARMS, truth.mean())
    return Stratum((rng.random(sure.shape) < sure).astype(np.float64), truth)


def pigeonhole(right: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Low, high and P(best) from seeds and items both resampled (paired between arms)."""
    means = np.empty((ARMS, BOOTSTRAP))
    for place in range(BOOTSTRAP):
        seeds = rng.integers(0, SEEDS, SEEDS)
        times = np.bincount(rng.integers(0, right.shape[2], right.shape[2]), minlength=right.shape[2])
        means[:, place] = right[:, seeds].mean(axis=1) @ times / right.shape[2]
    low, high = np.quantile(means - means[0], [0.025, 0.975], axis=1)
    return low, high, np.bincount(means.argmax(axis=0), minlength=ARMS) / BOOTSTRAP


def measure(one: Stratum, number: int, rng: np.random.Generator, equal: bool) -> dict[str, dict[str, float]]:
    """Of each method: coverage of gains, width, whether decided, said and true."""
    scores, items = one.right.mean(axis=2), one.right.shape[2]
    answers = {
        "seeds alone": rank_arms(scores, stream=str(number)),
        "seeds and items": rank_arms(scores, stream=str(number), items=item_noise(one.right).variances),
        "seeds, items estimated": rank_arms(
            scores, stream=str(number), items=binomial_noise(scores.mean(axis=1), items)
        ),
    }
    found = {name: _of_posterior(answer, one.truth, equal) for name, answer in answers.items()}
    low, high, p_best = pigeonhole(one.right, rng)
    found["bootstrap of seeds and items"] = _numbers(low, high, p_best, p_best.max() >= 0.95, one.truth, equal)
    return found


def _of_posterior(answer: Posterior, truth: FloatArray, equal: bool) -> dict[str, float]:
    _, low, high = answer.gains
    return _numbers(low, high, answer.p_best, len(answer.best_set) == 1, truth, equal)


def _numbers(
    low: FloatArray, high: FloatArray, p_best: FloatArray, decided: bool, truth: FloatArray, equal: bool
) -> dict[str, float]:
    gains = truth[1:] - truth[0]
    leader = int(np.argmax(p_best))
    row = {
        "gain coverage": float(((low[1:] <= gains) & (gains <= high[1:])).mean()),
        "width, points": float(100 * (high[1:] - low[1:]).mean()),
    }
    if equal:
        row["equal arms: decided"] = float(decided)
        row["equal arms: a false gain or loss"] = float(((low[1:] > 0) | (high[1:] < 0)).any())
    else:
        row["P(best) said"] = float(p_best[leader])
        row["P(best) true"] = float(truth[leader] == truth.max())
        row["decided"] = float(decided)
    return row


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--strata", type=int, default=300)
    parser.add_argument("--items", default="50,200,1000")
    parser.add_argument("--luck", type=float, default=1.0)
    parser.add_argument("--own", type=float, default=0.5)
    arguments = parser.parse_args()
    heads = ["gain coverage", "width, points", "equal arms: decided", "equal arms: a false gain or loss",
             "P(best) said", "P(best) true", "decided"]  # fmt: skip
    print(f"|items|method|{'|'.join(heads)}|\n" + "|---" * (len(heads) + 2) + "|")
    for items in (int(text) for text in arguments.items.split(",")):
        rng = np.random.default_rng(items)
        rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for number in range(arguments.strata):
            equal = number % 2 == 0
            one = stratum(items, equal, (arguments.luck, arguments.own), rng)
            for method, row in measure(one, number, rng, equal).items():
                for key, value in row.items():
                    rows[method][key].append(value)
        for method, columns in rows.items():
            print(f"|{items}|{method}|" + "|".join(f"{np.mean(columns[head]):.3f}" for head in heads) + "|")


if __name__ == "__main__":
    main()
