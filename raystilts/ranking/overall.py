"""Best on average over targets: by mean rank of draws, and by gain in units of each target.

Points of different targets are never averaged: one point of accuracy and one of F1 are not the
same thing. Ranks of posterior draws carry each target's uncertainty into the mean (Goldstein and
Spiegelhalter, JRSS A 159, 1996); gains are divided by the spread of one run's score in the target.

Where arms lack targets (a task is no intermediate of itself, or shares the target's data), two arms are compared on
the targets that both have. A rank is 1 plus the number of arms above, so an arm's mean rank is 1 plus the sum over the
other arms of how often each is above it, over the targets that the two share. Scaled scores are fitted by an effect of
the target and one of the arm, by least squares. With nothing missing, both are the plain means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.draws import best_of, interval, smallest_set
from raystilts.ranking.intervals import BoolArray, FloatArray, IntArray
from raystilts.ranking.posterior import MASS, Posterior, number
from raystilts.ranking.sampler import generator


@dataclass(frozen=True, slots=True)
class OverallArm:
    """One arm over all targets; None where it cannot be said.

    Attributes:
        arm: Row of the targets' score tables.
        targets: Targets in which the arm has a run.
        mean_rank: Posterior mean of its rank averaged over targets (1 is best), see above.
        rank_low: 2.5 % quantile of that average.
        rank_high: 97.5 % quantile.
        p_best_rank: Probability that its mean rank is the lowest.
        scaled_gain: Gain over none averaged over targets, each divided by its `scale`.
        scaled_low: 2.5 % quantile.
        scaled_high: 97.5 % quantile.
        p_best_gain: Probability that its average scaled score is the highest.
        in_rank_set: In the set not told apart from the best by mean rank.
        in_gain_set: In the set not told apart from the best by scaled gain.
    """

    arm: int
    targets: int
    mean_rank: float | None
    rank_low: float | None
    rank_high: float | None
    p_best_rank: float | None
    scaled_gain: float | None
    scaled_low: float | None
    scaled_high: float | None
    p_best_gain: float | None
    in_rank_set: bool
    in_gain_set: bool


@dataclass(frozen=True, slots=True)
class Overall:
    """The answer over all targets.

    Attributes:
        arms: One entry a row.
        rank_set: Arms not told apart from the best by mean rank, best first.
        gain_set: The same by scaled gain.
        used: Positions of the targets that took part.
        left_out: Positions of targets that are not learnt, or without a known seed variance.
        shared: Fewest and most targets that two competing arms share; None with fewer than two.
        scales: Scale of each target that took part, in its unit.
        notes: What a reader must be told.
    """

    arms: tuple[OverallArm, ...]
    rank_set: tuple[int, ...]
    gain_set: tuple[int, ...]
    used: tuple[int, ...]
    left_out: tuple[int, ...]
    shared: tuple[int, int] | None
    scales: tuple[float, ...]
    notes: tuple[str, ...]


def align(target: Posterior, rows: Sequence[int | None]) -> Posterior:
    """The posterior of a target with its arms in another order, absent ones added.

    Args:
        rows: For every arm of the answer over targets, its row in `target`; None where it has none.
    """
    if list(rows) == list(range(len(target.fit.effects))):
        return target
    present = np.array([row is not None for row in rows])
    places = np.array([row or 0 for row in rows])

    def take(values: npt.NDArray[Any], missing: Any) -> Any:
        shape = (-1,) + (1,) * (values.ndim - 1)
        return np.where(present.reshape(shape), values[places], missing)

    fit = replace(
        target.fit,
        effects=take(target.fit.effects, np.nan),
        counts=take(target.fit.counts, 0),
        squares=take(target.fit.squares, 0.0),
        deterministic=take(target.fit.deterministic, False),
        parts=take(target.fit.parts, -1),
        covariance=np.zeros((len(rows), len(rows))),
    )
    place_of = {row: place for place, row in enumerate(rows) if row is not None}
    groups = [np.array([place_of[row] for row in group.tolist() if row in place_of]) for group in target.tied]
    return Posterior(
        draws=take(target.draws, np.nan),
        fit=fit,
        competes=take(target.competes, False),
        tied=[group for group in groups if len(group) > 1],
        learnt=target.learnt,
        noise=take(target.noise, np.nan),
        items=None if target.items is None else take(target.items, 0.0),
    )


def rank_overall(targets: Sequence[Posterior], gains: Sequence[Posterior] | None = None) -> Overall:
    """Combines the posteriors of several targets, whose rows are the same arms in the same order.

    An arm competes if it competes in more than half of the targets used, and shares a target with every arm that does.

    Args:
        targets: The posteriors that the ranks are from.
        gains: Those that the scaled gains are from, of the same targets, such as on test data where
            `targets` are on dev data. Default: `targets`.

    Raises:
        UserError: No target, or targets with different numbers of arms or draws.
    """
    gains = targets if gains is None else gains
    if not targets or len(gains) != len(targets):
        raise UserError("targets is empty, but must hold the posterior of at least one target, and gains as many")
    used = tuple(k for k in range(len(targets)) if targets[k].determined and gains[k].determined)
    left_out = tuple(k for k in range(len(targets)) if k not in used)
    arms = {len(target.fit.effects) for target in (*targets, *gains)}
    sizes = {one[k].draws.shape[1] for k in used for one in (targets, gains)}
    if len(arms) > 1 or len(sizes) > 1:
        raise UserError(
            f"targets have {sorted(arms)} arms and {sorted(sizes)} draws, but must share both; "
            "give every target one row for every arm (nan where it has no run)"
        )
    chosen, gained = [targets[k] for k in used], [gains[k] for k in used]
    number = arms.pop()
    both = [one.competes & other.competes for one, other in zip(chosen, gained, strict=True)]
    there = np.array(both, dtype=np.bool_).reshape(len(used), number)
    competes = _competing(there)
    there &= competes
    counts = np.sum([target.fit.present for target in targets], axis=0)
    scales = tuple(target_scale(target) for target in gained)
    shared = _shared(there, competes)
    notes = _notes(targets, gained, left_out, competes, shared)
    if not competes.any():
        empty = tuple(_empty(i, int(n)) for i, n in enumerate(counts))
        return Overall(empty, (), (), used, left_out, shared, scales, notes)
    ranks, scaled = _averages(used, chosen, gained, scales, there)
    entries, rank_set, gain_set = _combine(ranks, scaled, scaled - scaled[0], counts)
    return Overall(entries, rank_set, gain_set, used, left_out, shared, scales, notes)


def _competing(there: BoolArray) -> BoolArray:
    """``[arms]``: in more than half of the targets, and in one with each other such arm.

    Args:
        there: ``[targets, arms]``, where an arm competes.
    """
    often: BoolArray = there.sum(axis=0) * 2 > len(there)
    while often.any():
        together = there[:, often].T.astype(np.int64) @ there[:, often] > 0
        if together.all():
            break
        rows = np.flatnonzero(often)
        often[rows[int(np.argmin(together.sum(axis=0)))]] = False
    return often


def _shared(there: BoolArray, competes: BoolArray) -> tuple[int, int] | None:
    rows = np.flatnonzero(competes)
    if len(rows) < 2:
        return None
    together = there[:, rows].T.astype(np.int64) @ there[:, rows]
    pairs = together[~np.eye(len(rows), dtype=np.bool_)]
    return int(pairs.min()), int(pairs.max())


def target_scale(target: Posterior) -> float:
    """Spread of one run's score in a target: arms' effects and seed noise together.

    ``sqrt(var(effects of arms other than none) + residual variance)``, in the target's unit; not
    zero for deterministic scores; 1 where nothing varies.
    """
    fit = target.fit
    others = fit.effects[1:][fit.present[1:]]
    between = float(others.var(ddof=1)) if len(others) > 1 else 0.0
    within = fit.variance if fit.df > 0 else 0.0
    return (between + within) ** 0.5 or 1.0


def _averages(
    used: tuple[int, ...],
    chosen: list[Posterior],
    gained: list[Posterior],
    scales: tuple[float, ...],
    there: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Over targets, draw by draw: ranks and scaled scores ``[arms, draws]``; nan for arms that do not compete."""
    # An order of its own for each target, so that targets of one shape are not drawn in step.
    size = chosen[0].draws.shape[1]
    orders = [generator("overall", k).permutation(size) for k in used]
    rows = np.flatnonzero(there.any(axis=0))
    ranks, scaled = (np.full((there.shape[1], size), np.nan) for _ in range(2))
    where = there[:, rows]
    drawn = [target.draws[rows].take(order, axis=1) for target, order in zip(chosen, orders, strict=True)]
    ranks[rows] = sum(map(_ranks, drawn)) / len(used) if where.all() else _paired_ranks(drawn, where)
    units = [
        gain.draws[rows].take(order, axis=1) / scale for gain, order, scale in zip(gained, orders, scales, strict=True)
    ]
    scaled[rows] = sum(units) / len(used) if where.all() else _arm_effects(units, where)
    return ranks, scaled


def _paired_ranks(drawn: list[FloatArray], where: BoolArray) -> FloatArray:
    """``[arms, draws]``, 1 plus the sum over the other arms of how often each is above, over shared targets."""
    arms = where.shape[1]
    shared = where.T.astype(np.int64) @ where
    result = np.ones_like(drawn[0])
    for arm in range(arms):
        above = np.zeros_like(result)
        for values, present in zip(drawn, where, strict=True):
            if present[arm]:
                row = values[arm]
                others = np.where(present[:, None], values, -np.inf)
                above += (others > row) + 0.5 * (others == row)
        above[arm] = 0.0
        result[arm] += (above / np.maximum(shared[arm], 1)[:, None]).sum(axis=0)
    return result


def _arm_effects(units: list[FloatArray], where: BoolArray) -> FloatArray:
    """``[arms, draws]``, effects of arms from least squares on targets and arms; their mean is that of all scores."""
    targets, arms = where.shape
    target_of, arm_of = np.nonzero(where)
    design = np.zeros((len(arm_of), targets + arms))
    design[np.arange(len(arm_of)), target_of] = 1.0
    design[np.arange(len(arm_of)), targets + arm_of] = 1.0
    values = np.array([units[t][a] for t, a in zip(target_of, arm_of, strict=True)])
    solution = np.linalg.pinv(design) @ values
    return np.asarray(solution[targets:] + solution[:targets].mean(axis=0))


def _combine(
    ranks: FloatArray, scaled: FloatArray, gains: FloatArray, counts: IntArray
) -> tuple[tuple[OverallArm, ...], tuple[int, ...], tuple[int, ...]]:
    competes = ~np.isnan(ranks[:, 0])
    p_rank, _ = best_of(-ranks, competes)
    p_gain, _ = best_of(scaled, competes)
    rank_set = smallest_set(p_rank, -ranks.mean(axis=1), MASS)
    gain_set = smallest_set(p_gain, scaled.mean(axis=1), MASS)
    rank_low, rank_high = interval(ranks)
    gain_low, gain_high = interval(gains)
    entries = tuple(
        OverallArm(
            arm=i,
            targets=int(counts[i]),
            mean_rank=number(float(ranks[i].mean())),
            rank_low=number(rank_low[i]),
            rank_high=number(rank_high[i]),
            p_best_rank=number(p_rank[i]),
            scaled_gain=number(float(gains[i].mean())),
            scaled_low=number(gain_low[i]),
            scaled_high=number(gain_high[i]),
            p_best_gain=number(p_gain[i]),
            in_rank_set=i in rank_set,
            in_gain_set=i in gain_set,
        )
        for i in range(len(competes))
    )
    return entries, rank_set, gain_set


def _ranks(values: FloatArray) -> FloatArray:
    """Rank of each row of ``values[row, draw]`` in its draw, 1 for the highest; ties share theirs."""
    above = np.array([np.add.reduce(values > row, axis=0, dtype=np.int16) for row in values])
    if (above.sum(axis=0) == len(values) * (len(values) - 1) // 2).all():
        return above + 1.0  # no ties
    level = np.array([np.add.reduce(values >= row, axis=0, dtype=np.int16) for row in values])
    return np.asarray((above + level + 1) / 2)


def _notes(
    targets: Sequence[Posterior],
    gained: list[Posterior],
    left_out: tuple[int, ...],
    competes: BoolArray,
    shared: tuple[int, int] | None,
) -> tuple[str, ...]:
    notes = []
    unlearnt = sum(not targets[k].learnt for k in left_out)
    if unlearnt:
        notes.append(f"{unlearnt} targets left out: not learnt")
    if len(left_out) > unlearnt:
        notes.append(f"{len(left_out) - unlearnt} targets left out: no repeated seeds")
    some = np.logical_or.reduce([target.fit.present for target in gained], initial=False, axis=0)
    missing = int((some & ~competes).sum())
    if missing:
        notes.append(f"{missing} arms do not compete: in half of the targets or fewer, or sharing none with an arm")
    if shared and shared[0] < len(gained):
        least, most = shared
        span = f"{least}" if least == most else f"{least} to {most}"
        notes.append(f"two arms are compared on the targets that both have: {span} of {len(gained)}")
    return tuple(notes)


def _empty(arm: int, targets: int) -> OverallArm:
    return OverallArm(arm, targets, None, None, None, None, None, None, None, None, False, False)
