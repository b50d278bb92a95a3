"""How many more seeds, of which arms, would decide the stratum.

Preposterior analysis (Raiffa and Schlaifer, "Applied Statistical Decision Theory", 1961): true
effects are drawn from the posterior, further seeds are drawn around them, and the posterior that
they would give is computed; the answer is the smallest number of seeds after which it decides with
the wanted probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raystilts.errors import UserError
from raystilts.ranking.intervals import FloatArray, IntArray
from raystilts.ranking.posterior import MASS, Posterior
from raystilts.ranking.sampler import draw_effects, generator, variance_factors

_WORLDS = 120  # simulated futures: standard error of a probability near .8 is .04
_DRAWS = 300


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
    rows = np.flatnonzero(stratum.competes)
    if not stratum.determined or stratum.leader is None:
        note = "add at least one seed to every arm: the seed variance is unknown"
        return Advice(tuple(int(i) for i in rows), None, None, note)
    behind = stratum.draws[rows].max(axis=0) - stratum.draws[stratum.leader]
    certainty = float((behind <= tolerance).mean())
    if certainty >= mass:
        return Advice((), 0, 1.0, f"decided: certainty {certainty:.2f}")
    arms = _arms_to_add(stratum)
    if not len(arms):
        return Advice((), None, 0.0, "the arms left are exact: more seeds change nothing")
    return _search(stratum, arms, tolerance, probability, max_seeds, mass)


def _arms_to_add(stratum: Posterior) -> IntArray:
    wanted = {*stratum.best_set, *((0,) if stratum.fit.present[0] else ())}
    return np.array(
        [i for i in sorted(wanted) if not stratum.fit.deterministic[i]], dtype=np.int64
    )


def _search(
    stratum: Posterior,
    arms: IntArray,
    tolerance: float,
    probability: float,
    max_seeds: int,
    mass: float,
) -> Advice:
    """Smallest number of seeds by bisection (the chance rises with the seeds)."""
    chosen = tuple(int(i) for i in arms)

    def chance(seeds: int) -> float:
        return decision_chance(stratum, arms, seeds, tolerance=tolerance, mass=mass)

    high, reached = 1, chance(1)
    while reached < probability and high < max_seeds:
        high = min(2 * high, max_seeds)
        reached = chance(high)
    if reached < probability:
        note = (
            f"{high} more seeds decide with probability {reached:.2f} only: the arms are close; "
            "take the leader, or state a tolerance"
        )
        return Advice(chosen, None, reached, note)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        value = chance(middle)
        if value >= probability:
            high, reached = middle, value
        else:
            low = middle
    note = f"{high} more seeds of {len(chosen)} arms decide with probability {reached:.2f}"
    return Advice(chosen, high, reached, note)


def decision_chance(
    stratum: Posterior,
    arms: IntArray,
    seeds: int,
    *,
    tolerance: float = 0.0,
    mass: float = MASS,
) -> float:
    """Chance that `seeds` more seeds of `arms` decide, over simulated futures."""
    fit = stratum.fit
    rows = np.flatnonzero(stratum.competes)
    rng = generator("advice", len(rows), len(arms), seeds)
    picks = rng.choice(stratum.draws.shape[1], _WORLDS)
    inflation = variance_factors(fit.df, _WORLDS, rng)
    added = np.zeros(len(fit.effects))
    added[arms] = seeds
    counts = fit.counts + added
    new_df = max(0, len(arms) - 1) * seeds
    decided = 0
    for pick, factor in zip(picks, inflation, strict=True):
        truth = stratum.draws[:, pick]
        true_variance = fit.variance * factor
        error = np.sqrt(true_variance / np.maximum(added, 1.0))
        fresh = truth + error * rng.standard_normal(len(truth))
        effects = np.where(added > 0, (fit.counts * fit.effects + added * fresh) / counts, np.nan)
        effects = np.where(added > 0, effects, fit.effects)
        noise = true_variance * rng.chisquare(new_df) if new_df > 0 else 0.0
        variance = (fit.df * fit.variance + noise) / (fit.df + new_df)
        scale = np.where(fit.deterministic, 0.0, variance / np.maximum(counts, 1.0))
        draws = _future(effects[rows], scale[rows], fit.df + new_df, rows[0] == 0, rng)
        behind = draws.max(axis=0) - draws
        decided += bool(((behind <= tolerance).mean(axis=1) >= mass).any())
    return decided / _WORLDS


def _future(
    effects: FloatArray,
    variances: FloatArray,
    df: int,
    baseline: bool,
    rng: np.random.Generator,
) -> FloatArray:
    """Posterior draws of the competing arms after the new seeds, none (if there) unshrunk."""
    factors = variance_factors(df, _DRAWS, rng)
    start = int(baseline)
    draws = np.empty((len(effects), _DRAWS))
    if baseline:
        draws[0] = effects[0] + np.sqrt(variances[0] * factors) * rng.standard_normal(_DRAWS)
    if len(effects) > start:
        draws[start:] = draw_effects(effects[start:], variances[start:], factors, rng)
    return draws
