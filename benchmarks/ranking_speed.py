"""How long ranking a stratum takes, beside a percentile bootstrap over its seeds with as many resamples.

    OMP_NUM_THREADS=1 python benchmarks/ranking_speed.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from raystilts.ranking.advice import advise
from raystilts.ranking.posterior import rank_arms

FloatArray = npt.NDArray[np.float64]
STRATA, RESAMPLES = 100, 2000


def ranked(scores: FloatArray) -> object:
    """All that `raystilts best` says of a stratum, but for the seeds that would decide."""
    found = rank_arms(scores)
    return found.gains, found.p_best, found.regret


def advised(scores: FloatArray) -> object:
    """The same with the seeds that would decide."""
    return advise(rank_arms(scores), max_seeds=8)


def bootstrapped(scores: FloatArray) -> object:
    """Means of resampled seeds, their quantiles, and how often each arm has the highest."""
    rng = np.random.default_rng(0)
    seeds = rng.integers(0, scores.shape[1], (RESAMPLES, scores.shape[0], scores.shape[1]))
    means = np.take_along_axis(scores[None], seeds, axis=2).mean(axis=2)
    quantiles = np.quantile(means - means[:, :1], (0.025, 0.975), axis=0)
    return quantiles, np.bincount(means.argmax(axis=1), minlength=len(scores))


def milliseconds(function: Callable[[FloatArray], object], tables: list[FloatArray]) -> float:
    """Time a stratum, the best of three rounds."""
    rounds = []
    for _ in range(3):
        start = time.process_time()
        for table in tables:
            function(table)
        rounds.append(time.process_time() - start)
    return 1000 * min(rounds) / len(tables)


def main() -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    print("|arms, seeds|ranking, ms|with advice, ms|bootstrap, ms|ranking : bootstrap|\n|---|---|---|---|---|")
    for arms, seeds in ((13, 3), (20, 3), (20, 5)):
        tables = [2 * rng.normal(size=(arms, 1)) + rng.normal(size=(arms, seeds)) for _ in range(STRATA)]
        own, more, other = (milliseconds(function, tables) for function in (ranked, advised, bootstrapped))
        print(f"|{arms}, {seeds}|{own:.2f}|{more:.2f}|{other:.2f}|{own / other:.2f}|")


if __name__ == "__main__":
    main()
