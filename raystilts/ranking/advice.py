"""How many more seeds, of which arms, would decide the stratum.

Preposterior analysis (Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961): true
effects are taken from the posterior, the means of further seeds are drawn around them, and the
posterior that these would give is worked out; the answer is the smallest number of seeds after
which it decides with the wanted probability. An arm's posterior counts as normal here, so that a
stratum takes milliseconds; `tests/ranking/test_advice.py` compares it with really adding runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from raystilts.errors import UserError
from raystilts.ranking.intervals import FloatArray, IntArray
from raystilts.ranking.posterior import MASS, Posterior
from raystilts.ranking.sampler import generator

_WORLDS = 400  # simulated futures: standard error of a probability near .8 is .02
_NEGLIGIBLE = 0.002  # an arm with a smaller P(best) is no contender
_NODES = 7  # of the quadrature over the leader's own score
_REACH, _STEPS = 6, 100  # the normal distribution function is tabled to so many deviations, in so many steps each


@dataclass(frozen=True, slots=True)
class Advice:
    """Which runs to add.

    Attributes:
        arms: Arms to add seeds to: the set not told apart from the best, and none, which every
            gain is measured against; empty when decided or when nothing can be said.
        seeds: Further seeds for each of them; 0 when decided, None when unknown or when
            `max_seeds` would not do.
        probability: Chance that these seeds (or `max_seeds`, if `seeds` is None) decide; None if
            unknown.
        note: One sentence for the user.
    """

    arms: tuple[int, ...]
    seeds: int | None
    probability: float | None
    note: str


def advise(
    stratum: Posterior,
    *,
    tolerance: float = 0.0,
    probability: float = 0.8,
    max_seeds: int = 32,
    mass: float = MASS,
) -> Advice:
    """The seeds that would decide a stratum.

    Decided means: with probability `mass`, the leader is at most `tolerance` below the best
    competing arm.

    Args:
        stratum: Posterior of the stratum.
        tolerance: Loss that does not matter, in the unit of the scores. With 0, two arms that are
            nearly equal need very many seeds.
        probability: Wanted chance of a decision, in (0, 1).
        max_seeds: Largest number of further seeds to think about, >= 1.
        mass: Certainty that counts as decided.
    """
    if not 0.0 < probability < 1.0 or max_seeds < 1 or tolerance < 0.0:
        raise UserError(
            f"probability is {probability}, max_seeds {max_seeds}, tolerance {tolerance}, but "
            "must be in (0, 1), at least 1 and at least 0"
        )
    if not stratum.learnt:
        return Advice((), None, None, "not learnt at this size: more seeds do not help; train longer or on more data")
    rows = np.flatnonzero(stratum.competes)
    if not stratum.determined or stratum.leader is None:
        note = "add at least one seed to every arm: the seed variance is unknown"
        return Advice(tuple(int(i) for i in rows), None, None, note)
    certainty = _certainty(stratum, tolerance)
    if certainty >= mass:
        return Advice((), 0, 1.0, f"decided: certainty {certainty:.2f}")
    arms = arms_to_add(stratum)
    if not len(arms):
        return Advice((), None, 0.0, "the arms left are exact: more seeds change nothing")
    return advise_arms(stratum, arms, tolerance=tolerance, probability=probability, max_seeds=max_seeds, mass=mass)


def _certainty(stratum: Posterior, tolerance: float) -> float:
    """Probability that the leader is at most `tolerance` below the best competing arm."""
    if not tolerance:
        return float(stratum.p_best[stratum.leader])
    rows = np.flatnonzero(stratum.competes)
    behind = stratum.draws[rows].max(axis=0) - stratum.draws[stratum.leader]
    return float((behind <= tolerance).mean())


def arms_to_add(stratum: Posterior) -> IntArray:
    """The set not told apart from the best, and none; exact scores need no more runs."""
    wanted = {*stratum.best_set, *((0,) if stratum.fit.present[0] else ())}
    return np.array([i for i in sorted(wanted) if not stratum.fit.deterministic[i]], dtype=np.int64)


def advise_arms(
    stratum: Posterior,
    arms: IntArray,
    *,
    tolerance: float = 0.0,
    probability: float = 0.8,
    max_seeds: int = 32,
    mass: float = MASS,
) -> Advice:
    """The smallest number of further seeds of given arms, as for `advise`; by bisection."""
    chosen = tuple(int(i) for i in arms)

    def chance(seeds: int) -> float:
        return decision_chance(stratum, arms, seeds, tolerance=tolerance, mass=mass)

    low, high, reached = 0, max_seeds, chance(max_seeds)
    if reached < probability:
        note = (
            f"{high} more seeds decide with probability {chance_words(reached)}: the arms are close; "
            "take the leader, or state a tolerance"
        )
        return Advice(chosen, None, reached, note)
    while high - low > 1:
        middle = (low + high) // 2
        value = chance(middle)
        if value >= probability:
            high, reached = middle, value
        else:
            low = middle
    note = f"{high} more seeds of {len(chosen)} arms decide with probability {reached:.2f}"
    return Advice(chosen, high, reached, note)


def chance_words(probability: float) -> str:
    """The chance of a decision in a sentence: "0.23 only", "0.70"."""
    words = "less than 0.01" if probability < 0.01 else f"{probability:.2f}"
    return f"{words} only" if probability < 0.5 else words


def decision_chance(
    stratum: Posterior,
    arms: IntArray,
    seeds: int,
    *,
    tolerance: float = 0.0,
    mass: float = MASS,
) -> float:
    """Chance that `seeds` more seeds of `arms` decide, over simulated futures.

    The futures are the same for every number of seeds, so that more seeds do not decide less often
    by chance.
    """
    rows = np.flatnonzero(stratum.competes & ~(stratum.p_best < _NEGLIGIBLE))
    draws = stratum.draws[rows]
    if len(rows) < 2:
        return 1.0
    mean, known = draws.mean(axis=1)[:, None], draws.var(axis=1)[:, None]
    # the luck of the items stays, however many seeds there are
    luck = np.zeros_like(known) if stratum.items is None else np.minimum(stratum.items[rows][:, None], known)
    known = known - luck
    noise = 1.0 / (1.0 / np.maximum(stratum.noise[rows], 1e-300)).mean(axis=1)[:, None] / seeds
    share = np.where(np.isin(rows, arms)[:, None], known / np.maximum(known + noise, 1e-300), 0.0)
    worlds = min(_WORLDS, draws.shape[1])
    picks = np.linspace(0, draws.shape[1] - 1, worlds).astype(np.int64)
    errors = generator("advice", len(rows)).standard_normal((len(rows), worlds))
    fresh = draws[:, picks] + noise**0.5 * errors
    certainty = leader_certainty(mean + share * (fresh - mean), known * (1.0 - share) + luck, tolerance)
    return float((certainty >= mass).mean())


def leader_certainty(means: FloatArray, variances: FloatArray, tolerance: float) -> FloatArray:
    """``[worlds]``, P(the arm with the highest mean is at most `tolerance` below the best).

    Args:
        means: ``[arms, worlds]`` means of independent normal scores.
        variances: ``[arms, 1]``.
    """
    leader = means.argmax(axis=0)
    columns = np.arange(means.shape[1])
    points, weights = _quadrature()
    own = means[leader, columns] + np.sqrt(variances[leader, 0]) * points[:, None] + tolerance
    scale = np.sqrt(np.maximum(variances, 1e-300))
    below = _normal_cdf((own[:, None, :] - means) / scale)
    below[:, leader, columns] = 1.0
    return np.asarray(weights @ below.prod(axis=1))


@cache
def _quadrature() -> tuple[FloatArray, FloatArray]:
    """Points of a standard normal and their weights."""
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    return points, weights / weights.sum()


def _normal_cdf(values: FloatArray) -> FloatArray:
    """By the table's equal steps: `numpy.interp`, which looks for the place, takes more than twice as long."""
    table = _normal_table()
    place = np.clip((values + _REACH) * _STEPS, 0.0, len(table) - 2.0)
    cell = place.astype(np.int32)
    low = table[cell]
    return np.asarray(low + (place - cell) * (table[cell + 1] - low))


@cache
def _normal_table() -> FloatArray:
    """The normal distribution function on a grid fine enough for five digits; its last value stands twice."""
    grid = np.append(np.arange(-_REACH * _STEPS, _REACH * _STEPS + 1) / _STEPS, _REACH)
    return np.array([0.5 * math.erfc(-x / 2**0.5) for x in grid])
