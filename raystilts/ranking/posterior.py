"""Which arm is best in one stratum: gain, P(best), expected regret, and the set not told apart.

The default statistic: a seed-blocked hierarchical posterior with heavy-tailed prior (`sampler`).
Everything is a function of the table alone: the random numbers are fixed by its shape and by
`stream`, arms are drawn in the order of their effects, and exactly tied arms share their result:
neither the order of the arms nor a shift common to all runs of a seed changes an answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.draws import ROUNDING_SHARE, best_of, interval, smallest_set
from raystilts.ranking.intervals import (
    BoolArray,
    Decomposition,
    FloatArray,
    IntArray,
    Mask,
    check_mask,
    check_scores,
    decompose,
)
from raystilts.ranking.noise import COLLAPSE, REACH, readings
from raystilts.ranking.sampler import draw_effects, generator, variance_factors

DRAWS = 2000
MASS = 0.95
GAIN_MASS = 0.95
_EQUAL_VARIANCE = 1e-9  # share of the largest variance within which two are the same

NO_REPEATS = "no repeated seeds: the seed variance is unknown, so no interval and no P(best)"
NO_BASELINE = "none has no finished run: gain unavailable"
NO_RUNS = "no arm has a finished run"
NOT_LEARNT = "not learnt at this size: no arm can be called better than another"
UNPAIRED = "the arms share no seed: what a seed does to its run counts as chance"
SPLIT = "some arms share no seed: their differences include the variance between seeds"


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Which arms may be called best; see `Posterior`."""

    leader: int | None
    best_set: tuple[int, ...]
    p_best: FloatArray
    regret: FloatArray


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of one stratum; what follows from its draws is worked out when asked for.

    Attributes:
        draws: ``[arms, draws]``, joint draws of the arms' scores; nan rows for absent arms, no
            columns where the seed variance is unknown.
        fit: The decomposition behind it.
        competes: ``[arms]``, arms that may be called best: those with a run, and in a posterior of all targets
            (`together`) those without one too, of which the other targets tell.
        tied: Groups of exchangeable arms, which share their answers.
        noise: ``[arms, draws]``, variance of one run of the arm.
        learnt: Whether the target is learnt at all. If not, nothing is said of its arms but their means.
        items: ``[arms]``, variance of each score by its items; None where items are taken as given.
        lost: ``[arms, seeds]``, probability that a run has collapsed and says nothing of its arm (`noise`); None where
            it is not known.
        base: ``[arms]``, the row that each arm's gain is over; None for row 0.
    """

    draws: FloatArray
    fit: Decomposition
    competes: BoolArray
    tied: list[IntArray]
    noise: FloatArray
    learnt: bool = True
    items: FloatArray | None = None
    lost: FloatArray | None = None
    base: IntArray | None = None

    @property
    def determined(self) -> bool:
        """Whether there are draws: a known seed variance and at least one run."""
        return bool(self.draws.shape[1] > 0)

    def future(self, runs: IntArray, rng: np.random.Generator) -> FloatArray:
        """``[arms, draws]``, what the means of so many new runs of each arm may be; nan for arms without a run.

        Args:
            runs: ``[arms]``, at least 1 where it matters.
            rng: Source of randomness.
        """
        number = np.maximum(np.asarray(runs), 1)[:, None]
        shape = self.draws.shape
        lost = rng.binomial(np.broadcast_to(number, shape), COLLAPSE)
        spread = np.sqrt(self.noise / number)
        fall = REACH * rng.random(shape) * lost * np.sqrt(self.noise) / number
        return np.asarray(self.draws + spread * rng.standard_normal(shape) - fall)

    @cached_property
    def choice(self) -> Choice:
        """Which arms may be called best."""
        return _choice(self) if self.determined else _undetermined(self)

    @property
    def leader(self) -> int | None:
        """Competing arm with a run and the lowest expected regret; None if no arm has one."""
        return self.choice.leader

    @property
    def best_set(self) -> tuple[int, ...]:
        """Arms not told apart from the best, by falling P(best) (then by score)."""
        return self.choice.best_set

    @property
    def p_best(self) -> FloatArray:
        """``[arms]``, probability that no competing arm is better; nan for arms that do not compete."""
        return self.choice.p_best

    @property
    def regret(self) -> FloatArray:
        """``[arms]``, expected loss against the best competing arm, in the unit of the scores, >= 0; likewise."""
        return self.choice.regret

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader must be told, one sentence each."""
        return _notes(self.fit) if self.learnt else (NOT_LEARNT,)

    @cached_property
    def gains(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``[arms]`` each: mean of arm minus none (shrunk), and the ends of its 95 % interval, `GAIN_MASS`."""
        return _gains(self)


def rank_arms(
    scores: npt.ArrayLike,
    *,
    deterministic: Mask | None = None,
    eligible: Mask | None = None,
    learnt: bool = True,
    items: npt.ArrayLike | None = None,
    stream: str = "",
    draws: int = DRAWS,
) -> Posterior:
    """The hierarchical posterior of one stratum.

    Args:
        scores: ``[arms, seeds]``, arm 0 is none; nan where a run is missing, failed or stopped.
        deterministic: ``[arms]``, arms whose score has no seed variance.
        eligible: ``[arms]``, arms that may be called best (False for an intermediate whose data
            overlaps the target's). Others keep their gain and have no P(best) and no regret.
        learnt: False where the runs are no better than guessing or than the best constant answer. Scores that are all
            0 are not learnt either.
        items: ``[arms]``, variance of each arm's score by its items (`items.item_noise`, `items.binomial_noise`); nan
            counts as their mean. Default: the items are taken as given, and answers are about them alone.
        stream: Name of the stratum. Strata with different names get other random numbers.
        draws: Number of joint draws; P(best) has a Monte Carlo error of at most .5/sqrt(draws).

    Raises:
        UserError: Wrong shapes, fewer than 100 draws.
    """
    if draws < 100:
        raise UserError(f"draws is {draws}, but must be at least 100, such as {DRAWS}")
    fit = decompose(scores, deterministic=deterministic)
    competes = fit.present & check_mask(eligible, len(fit.effects), "eligible", True)
    learnt = learnt and not (fit.present.any() and np.nanmax(np.abs(fit.effects)) == 0.0)
    if not learnt or not fit.estimable or not fit.present.any():
        none = np.empty((len(fit.effects), 0))
        return Posterior(none, fit, competes & learnt, [], none, learnt)
    table, luck = check_scores(scores), _item_variances(items, fit)
    drawn, noise, lost = draw_scores(table, fit, stream, draws, luck)
    return Posterior(drawn, fit, competes, tied_groups(fit, competes, luck), noise, items=luck, lost=lost)


def with_items(answer: Posterior, items: npt.ArrayLike | None, stream: str) -> Posterior:
    """A posterior that was made without the items' luck, and with it.

    Args:
        items: As for `rank_arms`; rows that it lacks (arms without a run) have none.
        stream: Fixes the random numbers.
    """
    if items is None or not answer.determined:
        return answer
    given = np.full(len(answer.draws), np.nan)
    given[: len(np.asarray(items))] = items
    luck = np.where(np.isnan(given), 0.0, given)
    noise = generator("items", stream, answer.draws.shape).standard_normal(answer.draws.shape)
    return replace(answer, draws=answer.draws + np.sqrt(luck)[:, None] * noise, tied=[], items=luck)


def _item_variances(items: npt.ArrayLike | None, fit: Decomposition) -> FloatArray | None:
    if items is None:
        return None
    found = np.array(items, dtype=np.float64)
    if found.shape != fit.effects.shape or (found < 0.0).any():
        raise UserError(f"items must be one variance an arm, 0 or more: {len(fit.effects)} of them")
    known = ~np.isnan(found)
    return np.where(known, found, found[known].mean() if known.any() else 0.0)


def draw_scores(
    table: FloatArray, fit: Decomposition, stream: str, draws: int, items: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``[arms, draws]`` each: joint draws of the arms' scores, and of the variance of one of their runs.

    nan rows for arms without a run; exact arms have their score, and variance 0, in every draw, but for the noise of
    their items. Also `Posterior.lost`.
    """
    noisy = canonical_order(fit)
    if fit.variance == 0.0:
        noisy = noisy[:0]
    rng = generator("hbc", stream, draws, fit.counts[noisy].tolist())
    exact = np.setdiff1d(np.flatnonzero(fit.present), noisy)
    result, variance = (np.full((len(fit.effects), draws), np.nan) for _ in range(2))
    lost = np.zeros(table.shape)
    result[exact], variance[exact] = fit.effects[exact, None], 0.0
    if items is not None and len(exact):
        result[exact] += np.sqrt(items[exact, None]) * rng.standard_normal((len(exact), draws))
    if len(noisy):
        found = readings(table, fit, noisy, items)
        rows = found.arm[found.first]
        result[rows], variance[rows], share = draw_effects(found, fit.effects[exact], draws, rng)
        lost[rows, np.maximum.reduceat(found.lost, found.first)] = share  # of an arm without such a reading it is 0
    if fit.split:
        factors = variance_factors(fit.seed_df, draws, rng)
        for part, seeds in enumerate(fit.part_seeds):
            shift = np.sqrt(fit.seed_variance / seeds * factors) * rng.standard_normal(draws)
            result[fit.parts == part] += shift
    return result, variance, lost


def canonical_order(fit: Decomposition) -> IntArray:
    """Arms with noise, sorted by effect, then by the spread of their runs."""
    arms = np.flatnonzero(fit.present & ~fit.deterministic)
    return np.asarray(arms[np.lexsort((fit.squares[arms], fit.effects[arms]))])


def _choice(answer: Posterior) -> Choice:
    p_best, regret = best_of(answer.draws, answer.competes)
    for group in answer.tied:
        for values in (p_best, regret):
            values[group] = values[group].mean()
    effects = answer.fit.effects
    best_set = smallest_set(p_best, effects, MASS)
    leader = _leader(regret, p_best, effects, answer.competes & answer.fit.present)
    if leader is not None and leader not in best_set:
        best_set = (*best_set, leader)
    return Choice(leader, best_set, p_best, regret)


def _undetermined(answer: Posterior) -> Choice:
    """Scores without a known seed variance: nothing told apart."""
    effects = answer.fit.effects
    rows = np.flatnonzero(answer.competes)
    best_set = tuple(rows[np.argsort(-effects[rows], kind="stable")].tolist())
    unknown = np.full(len(effects), np.nan)
    return Choice(best_set[0] if best_set else None, best_set, unknown, unknown)


def _gains(answer: Posterior) -> tuple[FloatArray, FloatArray, FloatArray]:
    fit, draws = answer.fit, answer.draws
    base = np.zeros(len(fit.effects), np.int64) if answer.base is None else answer.base
    if not answer.determined:
        unknown = np.full(len(fit.effects), np.nan)
        return fit.effects - fit.effects[base] if answer.learnt else unknown, unknown, unknown
    gain, low, high = (np.full(len(draws), np.nan) for _ in range(3))
    if fit.present[0]:
        present = np.flatnonzero(fit.present)
        gains = draws[present]
        gains -= draws[base[present]]
        gain[present] = gains.mean(axis=1)
        low[present], high[present] = interval(gains, GAIN_MASS)
        for group in answer.tied:
            for values in (gain, low, high):
                values[group] = values[group].mean()
    return gain, low, high


def number(value: float) -> float | None:
    """A float, or None for nan."""
    return None if math.isnan(value) else float(value)


def _leader(regret: FloatArray, p_best: FloatArray, effects: FloatArray, competes: BoolArray) -> int | None:
    rows = np.flatnonzero(competes)
    if not len(rows):
        return None
    return int(rows[np.lexsort((-effects[rows], -p_best[rows], regret[rows]))[0]])


def tied_groups(fit: Decomposition, competes: BoolArray, items: FloatArray | None = None) -> list[IntArray]:
    """Exchangeable arms: same effect, variance, part and right to compete."""
    order = canonical_order(fit)
    if len(order) < 2:
        return []
    squares = fit.squares[order]
    scale = np.abs(fit.effects[order]).max() * ROUNDING_SHARE
    same = np.diff(fit.effects[order]) <= scale
    same &= (np.abs(np.diff(squares)) <= _EQUAL_VARIANCE * squares.max()) & (np.diff(fit.counts[order]) == 0)
    if items is not None:
        same &= np.diff(items[order]) == 0.0
    same &= (np.diff(fit.parts[order]) == 0) & ~np.diff(competes[order])
    groups = np.split(order, np.flatnonzero(~same) + 1)
    return [group for group in groups if len(group) > 1]


def _notes(fit: Decomposition) -> tuple[str, ...]:
    if not fit.present.any():
        return (NO_RUNS,)
    notes = [] if fit.present[0] else [NO_BASELINE]
    if not fit.estimable:
        notes.append(NO_REPEATS)
    elif not fit.paired:
        notes.append(UNPAIRED)
    elif fit.split and fit.seed_df > 0:
        notes.append(SPLIT)
    return tuple(notes)
