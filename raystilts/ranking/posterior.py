"""Which arm is best in one stratum: gain, P(best), expected regret, and the set not told apart.

The default statistic: a seed-blocked hierarchical posterior with heavy-tailed prior (`sampler`).
Everything is a function of the table alone: the random numbers are fixed by its shape and by
`stream`, arms are drawn in the order of their effects, and exactly tied arms share their result:
neither the order of the arms nor a shift common to all runs of a seed changes an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.intervals import (
    BoolArray,
    Decomposition,
    FloatArray,
    IntArray,
    Mask,
    check_mask,
    decompose,
)
from raystilts.ranking.sampler import draw_effects, generator, variance_factors

DRAWS = 2000
MASS = 0.95
GAIN_MASS = 0.96  # what covers .95: .95 holds .93 of the true gains of winners (docs/ranking.md)
_TIE = 1e-9
_ROUNDING_SHARE = 1e-12  # draws closer than this share of the score are equal

NO_REPEATS = "no repeated seeds: the seed variance is unknown, so no interval and no P(best)"
NO_BASELINE = "none has no finished run: gain unavailable"
NO_RUNS = "no arm has a finished run"
SPLIT = "some arms share no seed: their differences include the variance between seeds"


@dataclass(frozen=True, slots=True)
class ArmPosterior:
    """What the posterior says of one arm; None where it cannot be said.

    Attributes:
        arm: Row of the score table.
        runs: Finished runs.
        mean: Mean score adjusted for seeds, not shrunk, in the unit of the scores.
        gain: Posterior mean of arm minus none (shrunk).
        low: Lower end of the gain's 95 % interval (of `GAIN_MASS` of the posterior).
        high: Upper end.
        p_best: Probability that no competing arm is better.
        regret: Expected loss against the best competing arm, in the unit of the scores, >= 0.
        in_set: Whether the arm is in the set not told apart from the best.
    """

    arm: int
    runs: int
    mean: float | None
    gain: float | None
    low: float | None
    high: float | None
    p_best: float | None
    regret: float | None
    in_set: bool


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of one stratum.

    Attributes:
        leader: Competing arm with the lowest expected regret; None if no arm has a run.
        best_set: Arms not told apart from the best, by falling P(best) (then by score).
        draws: ``[arms, draws]``, joint draws of the arms' scores; nan rows for absent arms, no
            columns where the seed variance is unknown.
        fit: The decomposition behind it.
        competes: ``[arms]``, arms with a run that may be called best.
        p_best: ``[arms]``, see `ArmPosterior`; nan for arms that do not compete.
        regret: ``[arms]``, likewise.
        tied: Groups of exchangeable arms, which share their answers.
        notes: What a reader must be told, one sentence each.
    """

    leader: int | None
    best_set: tuple[int, ...]
    draws: FloatArray
    fit: Decomposition
    competes: BoolArray
    p_best: FloatArray
    regret: FloatArray
    tied: list[IntArray]
    notes: tuple[str, ...]

    @property
    def determined(self) -> bool:
        """Whether there are draws: a known seed variance and at least one run."""
        return bool(self.draws.shape[1] > 0)

    @cached_property
    def gains(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``[arms]`` each: mean of arm minus none, and the ends of its 95 % interval."""
        return _gains(self)

    @cached_property
    def arms(self) -> tuple[ArmPosterior, ...]:
        """One entry a row of the score table, in its order."""
        columns = (self.fit.effects, *self.gains, self.p_best, self.regret)
        rows = zip(*(values.tolist() for values in columns), strict=True)
        counts = self.fit.counts.tolist()
        return tuple(
            ArmPosterior(
                i, counts[i], number(mean), number(gain), number(low), number(high), number(p_best), number(regret),
                i in self.best_set,
            )
            for i, (mean, gain, low, high, p_best, regret) in enumerate(rows)
        )  # fmt: skip


def rank_arms(
    scores: npt.ArrayLike,
    *,
    deterministic: Mask | None = None,
    eligible: Mask | None = None,
    stream: str = "",
    draws: int = DRAWS,
    mass: float = MASS,
) -> Posterior:
    """The hierarchical posterior of one stratum.

    Args:
        scores: ``[arms, seeds]``, arm 0 is none; nan where a run is missing, failed or stopped.
        deterministic: ``[arms]``, arms whose score has no seed variance.
        eligible: ``[arms]``, arms that may be called best (False for an intermediate whose data
            overlaps the target's). Others keep their gain and have no P(best) and no regret.
        stream: Name of the stratum. Strata with different names get other random numbers.
        draws: Number of joint draws; P(best) has a Monte Carlo error of at most .5/sqrt(draws).
        mass: Probability that the set not told apart from the best must reach.

    Raises:
        UserError: Wrong shapes, `mass` outside (0, 1], fewer than 100 draws.
    """
    if not 0.0 < mass <= 1.0:
        raise UserError(f"mass is {mass}, but must be above 0 and at most 1, such as 0.95")
    if draws < 100:
        raise UserError(f"draws is {draws}, but must be at least 100, such as {DRAWS}")
    fit = decompose(scores, deterministic=deterministic)
    competes = fit.present & check_mask(eligible, len(fit.effects), "eligible", True)
    if not fit.estimable or not fit.present.any():
        return _undetermined(fit, competes)
    tied = tied_groups(fit, competes)
    return summarise(fit, draw_scores(fit, stream, draws), competes, tied, mass)


def draw_scores(fit: Decomposition, stream: str, draws: int) -> FloatArray:
    """``[arms, draws]`` joint draws of the arms' scores; nan rows for arms without a run."""
    others = canonical_order(fit)
    rng = generator("hbc", stream, draws, bool(fit.present[0]), fit.counts[others].tolist())
    factors = variance_factors(fit.df if fit.df > 0 else np.inf, draws, rng)
    variances = fit.variances
    result = np.full((len(fit.effects), draws), np.nan)
    noise = rng.standard_normal(draws)  # even if none is absent: the others' numbers must not depend on it
    if fit.present[0]:
        result[0] = fit.effects[0] + np.sqrt(variances[0] * factors) * noise
    if len(others):
        result[others] = draw_effects(fit.effects[others], variances[others], factors, rng)
    if fit.split:
        factors = variance_factors(fit.seed_df, draws, rng)
        for part, seeds in enumerate(fit.part_seeds):
            shift = np.sqrt(fit.seed_variance / seeds * factors) * rng.standard_normal(draws)
            result[fit.parts == part] += shift
    return result


def canonical_order(fit: Decomposition) -> IntArray:
    """Arms with runs other than none, sorted by effect, then by variance."""
    others = np.flatnonzero(fit.present[1:]) + 1
    return np.asarray(others[np.lexsort((fit.variances[others], fit.effects[others]))])


def summarise(
    fit: Decomposition, draws: FloatArray, competes: BoolArray, tied: list[IntArray], mass: float = MASS
) -> Posterior:
    """P(best), regret and set from draws ``[arms, draws]``; exchangeable arms (`tied`) share their answers."""
    p_best, regret = best_of(draws, competes)
    for group in tied:
        for values in (p_best, regret):
            values[group] = values[group].mean()
    best_set = smallest_set(p_best, fit.effects, mass)
    leader = _leader(regret, p_best, fit.effects, competes)
    if leader is not None and leader not in best_set:
        best_set = (*best_set, leader)
    return Posterior(leader, best_set, draws, fit, competes, p_best, regret, tied, _notes(fit))


def _gains(answer: Posterior) -> tuple[FloatArray, FloatArray, FloatArray]:
    fit, draws = answer.fit, answer.draws
    if not answer.determined:
        unknown = np.full(len(fit.effects), np.nan)
        return fit.effects - fit.effects[0], unknown, unknown
    gain, low, high = (np.full(len(draws), np.nan) for _ in range(3))
    if fit.present[0]:
        present = np.flatnonzero(fit.present)
        gains = draws[present]
        gains -= draws[0]
        gain[present] = gains.mean(axis=1)
        low[present], high[present] = interval(gains, GAIN_MASS)
        for group in answer.tied:
            for values in (gain, low, high):
                values[group] = values[group].mean()
    return gain, low, high


def best_of(draws: FloatArray, competes: BoolArray) -> tuple[FloatArray, FloatArray]:
    """P(best) and expected regret of the competing rows of ``draws[arm, draw]``; nan elsewhere.

    Arms that are exactly equal in a draw share it.
    """
    p_best, regret = np.full(len(draws), np.nan), np.full(len(draws), np.nan)
    rows = np.flatnonzero(competes)
    if len(rows):
        behind = draws[rows]
        top = behind.max(axis=0)
        np.subtract(top, behind, out=behind)
        regret[rows] = behind.mean(axis=1)
        winners = behind <= _ROUNDING_SHARE * np.abs(top)
        shares = winners.sum(axis=0)
        p_best[rows] = winners.mean(axis=1) if shares.max() == 1 else (winners / shares).mean(axis=1)
    return p_best, regret


def smallest_set(p_best: FloatArray, effects: FloatArray, mass: float) -> tuple[int, ...]:
    """Arms added by falling P(best) until their sum reaches `mass`; ties enter together."""
    known = np.flatnonzero(~np.isnan(p_best))
    if not len(known):
        return ()
    order = known[np.lexsort((-effects[known], -p_best[known]))]
    reached = int(np.searchsorted(np.cumsum(p_best[order]), mass - _TIE))
    floor = p_best[order[min(reached, len(order) - 1)]] - _TIE
    return tuple(int(i) for i in order if p_best[i] >= floor and p_best[i] > 0.0)


def interval(values: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Central interval of each row of ``values[row, draw]`` (nearest order statistics)."""
    draws = values.shape[1]
    tail = (1.0 - level) / 2.0
    low, high = round(tail * (draws - 1)), round((1.0 - tail) * (draws - 1))
    ordered = np.partition(values, (low, high), axis=1)
    return ordered[:, low], ordered[:, high]


def number(value: float) -> float | None:
    """A float, or None for nan."""
    return None if math.isnan(value) else float(value)


def _leader(regret: FloatArray, p_best: FloatArray, effects: FloatArray, competes: BoolArray) -> int | None:
    rows = np.flatnonzero(competes)
    if not len(rows):
        return None
    return int(rows[np.lexsort((-effects[rows], -p_best[rows], regret[rows]))[0]])


def tied_groups(fit: Decomposition, competes: BoolArray) -> list[IntArray]:
    """Exchangeable arms: same effect, variance, part and right to compete."""
    order = canonical_order(fit)
    if len(order) < 2:
        return []
    variances = fit.variances[order]
    scale = np.abs(fit.effects[order]).max() * _ROUNDING_SHARE
    same = np.diff(fit.effects[order]) <= scale
    same &= np.isclose(np.diff(variances), 0.0, atol=_TIE * float(variances.max()))
    same &= (np.diff(fit.parts[order]) == 0) & ~np.diff(competes[order])
    groups = np.split(order, np.flatnonzero(~same) + 1)
    return [group for group in groups if len(group) > 1]


def _notes(fit: Decomposition) -> tuple[str, ...]:
    if not fit.present.any():
        return (NO_RUNS,)
    notes = [] if fit.present[0] else [NO_BASELINE]
    if not fit.estimable:
        notes.append(NO_REPEATS)
    elif fit.split and fit.seed_df > 0:
        notes.append(SPLIT)
    return tuple(notes)


def _undetermined(fit: Decomposition, competes: BoolArray) -> Posterior:
    """Scores without a known seed variance: raw gains, nothing told apart."""
    rows = np.flatnonzero(competes)
    order = rows[np.argsort(-fit.effects[rows], kind="stable")]
    best_set = tuple(int(i) for i in order)
    leader = best_set[0] if best_set else None
    unknown = np.full(len(fit.effects), np.nan)
    empty = np.empty((len(fit.effects), 0))
    return Posterior(leader, best_set, empty, fit, competes, unknown, unknown, [], _notes(fit))
