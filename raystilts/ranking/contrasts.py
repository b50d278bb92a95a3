"""Differences between averages over several targets, with intervals over seeds.

Runs that share a seed share it in every target: arm a with seed s starts every target from the same intermediate
checkpoint, so that its luck moves all targets together. Score[t, a, s] = effect[t, a] + seed[t, s] + residual[t, a, s],
where the residuals of one run are correlated between targets, and the seeds' common shifts are too: randomised blocks
(Fisher 1935) with several responses (Anderson, "An Introduction to Multivariate Statistical Analysis", ch. 8). Both
covariance matrices are estimated without bias from all arms, also from incomplete tables; a difference of averages is
linear in the scores, and its variance follows. Its t interval is exact where every run is there. With one target it is
`intervals.gain_variance`. Targets and languages are a fixed set: nothing is said of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.intervals import BoolArray, FloatArray, decompose
from raystilts.ranking.posterior import NO_REPEATS

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """A weighted sum over targets of one arm's score minus another's.

    Attributes:
        value: In the unit of the scores; None where an arm lacks a target.
        low: Lower end of the interval, None where there is none.
        high: Upper end.
        note: Why something is missing, else None.
    """

    value: float | None
    low: float | None
    high: float | None
    note: str | None


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """One target's least squares as linear maps of its scores, laid out flat [arms * seeds].

    Attributes:
        effects: ``[arms]``, nan for an arm without a run.
        effect_map: ``[arms, cells]``; 0 for deterministic arms.
        seed_map: ``[seeds, cells]``, centred effects of seeds.
        residual_map: ``[cells, cells]``.
        centring: ``[seeds, seeds]``, what `seed_map` makes of true seed effects.
        scores: ``[cells]``, 0 where there is none.
        df: Residual degrees of freedom.
        seed_df: Degrees of freedom of the seeds' variance.
    """

    effects: FloatArray
    effect_map: FloatArray
    seed_map: FloatArray
    residual_map: FloatArray
    centring: FloatArray
    scores: FloatArray
    df: int
    seed_df: int


class Contrasts:
    """Differences between averages over targets.

    Args:
        scores: ``[targets, arms, seeds]``, nan where a run is missing, failed or stopped. The same arms and seeds
            for every target.
        deterministic: ``[targets, arms]``, scores without seed variance; such a row holds its value in every column.

    Raises:
        UserError: Wrong shapes, or a deterministic arm with different scores.

    Attributes:
        effects: ``[targets, arms]``, each arm's score adjusted for its seeds; nan for an arm without a run.
    """

    def __init__(self, scores: npt.ArrayLike, deterministic: npt.ArrayLike | None = None) -> None:
        table = np.array(scores, dtype=np.float64)
        if table.ndim != 3:
            raise UserError(f"scores has shape {table.shape}, but must be [targets, arms, seeds]")
        fixed = np.zeros(table.shape[:2], dtype=np.bool_) if deterministic is None else np.asarray(deterministic)
        if fixed.shape != table.shape[:2]:
            raise UserError(f"deterministic has shape {fixed.shape}, but must be [targets, arms]: {table.shape[:2]}")
        self._blocks = [_block(one, flags) for one, flags in zip(table, fixed, strict=True)]
        self.effects: FloatArray = np.array([block.effects for block in self._blocks]).reshape(table.shape[:2])
        self._shape = table.shape[1:]
        self._residual, self._seed = _covariances(self._blocks)

    def difference(self, picks: Sequence[int], others: Sequence[int], weights: Sequence[float]) -> Difference:
        """``sum over targets of weight * (score of pick - score of other)``, with its 95 % t interval.

        Args:
            picks: The arm in each target.
            others: The arm that it is compared with in each target.
            weights: One a target; targets of weight 0 need no run.
        """
        used = [t for t, weight in enumerate(weights) if weight != 0.0]
        gaps = [weights[t] * (self.effects[t, picks[t]] - self.effects[t, others[t]]) for t in used]
        if not used or np.isnan(gaps).any():
            return Difference(None, None, None, "an arm has no finished run")
        value = float(sum(gaps))
        maps = {t: weights[t] * self._gap_map(t, picks[t], others[t]) for t in used}
        maps = {t: row for t, row in maps.items() if row.any()}
        if any(self._blocks[t].df <= 0 for t in maps):
            return Difference(value, None, None, NO_REPEATS)
        half = self._half_width(maps)
        return Difference(value, value - half, value + half, None)

    def _gap_map(self, target: int, pick: int, other: int) -> FloatArray:
        rows = self._blocks[target].effect_map
        return np.asarray(rows[pick] - rows[other])

    def _half_width(self, maps: dict[int, FloatArray]) -> float:
        if not maps:
            return 0.0
        rows = np.array(list(maps.values()))
        chosen = np.ix_(list(maps), list(maps))
        shifts = rows.reshape(len(rows), *self._shape).sum(axis=1)
        residual = max(0.0, float((self._residual[chosen] * (rows @ rows.T)).sum()))
        seed = max(0.0, float((self._seed[chosen] * (shifts @ shifts.T)).sum()))
        total = residual + seed
        scale = float(np.nanmax(np.abs(self.effects[list(maps)])))
        if total <= (_ROUNDING * scale) ** 2:
            return 0.0
        from scipy.stats import t as student  # here: loading it is slow

        spread = residual**2 / min(self._blocks[t].df for t in maps)
        if seed > 0.0:
            spread += seed**2 / min(self._blocks[t].seed_df for t in maps if self._blocks[t].seed_df > 0)
        return float(student.ppf(0.975, total**2 / spread)) * float(total**0.5)


def _block(table: FloatArray, fixed: BoolArray) -> _Block:
    """Least squares of one target.

    Where no two arms share a seed, a seed's shift and the residual are one thing, and count as residual.
    """
    fit = decompose(table, deterministic=fixed)
    arms, seeds = table.shape
    seen = ~np.isnan(table) & ~fixed[:, None]
    arm_of, seed_of = np.nonzero(seen)
    cells = arm_of * seeds + seed_of
    alone = len(np.unique(arm_of)) <= 1 or not fit.paired
    design = np.zeros((len(cells), arms + seeds))
    design[np.arange(len(cells)), arm_of] = 1.0
    if not alone:
        design[np.arange(len(cells)), arms + seed_of] = 1.0
    inverse = np.linalg.pinv(design)
    part_of_seed = np.full(seeds, -1)
    part_of_seed[seed_of] = fit.parts[arm_of]
    same = (part_of_seed[:, None] == part_of_seed) & (part_of_seed >= 0)
    means = same / np.maximum(same.sum(axis=1, keepdims=True), 1)
    centring = np.where(np.eye(seeds) * (part_of_seed >= 0) > 0, 1.0, 0.0) - means
    effect_rows, seed_rows = inverse[:arms].copy(), centring @ inverse[arms:]
    for arm in np.unique(arm_of):
        effect_rows[arm] += inverse[arms:][part_of_seed == fit.parts[arm]].mean(axis=0)
    residual = np.eye(len(cells)) - design @ inverse
    size = arms * seeds
    return _Block(
        effects=fit.effects,
        effect_map=_spread(effect_rows, cells, size),
        seed_map=_spread(seed_rows, cells, size),
        residual_map=_spread(_spread(residual, cells, size).T, cells, size),
        centring=np.zeros((seeds, seeds)) if alone else centring,
        scores=np.where(seen, table, 0.0).ravel(),
        df=round(float(np.trace(residual))),
        seed_df=0 if alone else fit.seed_df,
    )


def _spread(rows: FloatArray, cells: npt.NDArray[np.intp], size: int) -> FloatArray:
    """Columns of `rows` at their cells, 0 elsewhere."""
    wide = np.zeros((len(rows), size))
    wide[:, cells] = rows
    return wide


def _covariances(blocks: list[_Block]) -> tuple[FloatArray, FloatArray]:
    """``[targets, targets]``: covariances of the residuals of one run, and of the shifts of one seed."""
    number = len(blocks)
    residual, seed = np.zeros((number, number)), np.zeros((number, number))
    left = [block.residual_map @ block.scores for block in blocks]
    shifts = [block.seed_map @ block.scores for block in blocks]
    for t, one in enumerate(blocks):
        for u, other in enumerate(blocks[: t + 1]):
            shared = float((one.residual_map * other.residual_map).sum())
            if shared > 1e-9:
                residual[t, u] = residual[u, t] = float(left[t] @ left[u]) / shared
            seeds = float((one.centring * other.centring).sum())
            if seeds > 1e-9:
                noise = residual[t, u] * float((one.seed_map * other.seed_map).sum())
                found = (float(shifts[t] @ shifts[u]) - noise) / seeds
                seed[t, u] = seed[u, t] = max(found, 0.0) if t == u else found
    return residual, seed
