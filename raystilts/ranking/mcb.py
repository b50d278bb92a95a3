"""Hsu's multiple comparisons with the best, the worst-case answer behind ``--strict``.

J. C. Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the best",
Annals of Statistics 12 (1984), with Dunnett's one-sided constant for each arm as the control
(Dunnett, JASA 50, 1955) and unequal run counts. All statements hold together with the given
probability for any true effects, so the set is larger than the posterior's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from raystilts.ranking.intervals import Mask, check_mask, decompose

_NODES = 64
#: Joint confidence.
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class ArmMcb:
    """Simultaneous interval for one arm against the best of the others.

    Attributes:
        arm: Row of the score table.
        low: Lower bound of arm minus the best other arm, at most 0.
        high: Upper bound, at least 0; 0 means that the arm is not the best.
        may_be_best: Whether the arm is not ruled out.
    """

    arm: int
    low: float
    high: float
    may_be_best: bool


@dataclass(frozen=True, slots=True)
class Mcb:
    """Arms that may be the best, with simultaneous confidence.

    Attributes:
        arms: Competing arms only; empty when the seed variance is unknown.
        best_set: Arms that may be best, by falling score.
        note: Why nothing can be said, else None.
    """

    arms: tuple[ArmMcb, ...]
    best_set: tuple[int, ...]
    note: str | None


def compare_with_best(
    scores: npt.ArrayLike,
    *,
    deterministic: Mask | None = None,
    eligible: Mask | None = None,
) -> Mcb:
    """Hsu's MCB on a seed-blocked stratum.

    Args:
        scores: ``[arms, seeds]``, nan where a run is missing; none (arm 0) competes like the rest.
        deterministic: ``[arms]``, arms without seed variance.
        eligible: ``[arms]``, arms that may be called best.
    """
    fit = decompose(scores, deterministic=deterministic)
    competes = fit.present & check_mask(eligible, len(fit.effects), "eligible", True)
    rows = np.flatnonzero(competes)
    effects = fit.effects[rows]
    by_score = tuple(int(i) for i in rows[np.argsort(-effects, kind="stable")])
    if not fit.estimable:
        return Mcb((), by_score, "no repeated seeds: the seed variance is unknown")
    if fit.split and fit.seed_df > 0:
        return Mcb((), by_score, "some arms share no seed: MCB needs shared seeds")
    variances = fit.variances[rows]
    arms = []
    for i in range(len(rows)):
        others = np.arange(len(rows)) != i
        gaps = effects[i] - effects[others]
        errors = np.sqrt(variances[i] + variances[others])
        ratios = np.sqrt(variances[i] / np.where(errors > 0.0, errors, 1.0) ** 2)
        allowance = critical(tuple(np.sort(np.round(ratios, 9))), fit.df) * errors
        high = max(0.0, float(np.min(gaps + allowance, initial=np.inf)))
        low = min(0.0, float(np.min(gaps - allowance, initial=np.inf)))
        tied = bool(np.all(gaps + allowance >= 0.0))
        arms.append(ArmMcb(int(rows[i]), low, high, high > 0.0 or tied))
    keep = {arm.arm for arm in arms if arm.may_be_best}
    return Mcb(tuple(arms), tuple(i for i in by_score if i in keep), None)


@lru_cache(maxsize=4096)
def critical(ratios: tuple[float, ...], df: float) -> float:
    """The 95 % point of the largest of correlated t values, corr(i, j) = ratios[i] * ratios[j].

    With all ratios 1 / sqrt(2) it is the one-sided constant of Dunnett (1955).
    """
    if not ratios or df <= 0:
        return 0.0  # one arm, or exact scores
    from scipy import optimize, special, stats  # here: only --strict needs it, and it loads slowly

    distinct, times = np.unique(np.minimum(ratios, 1.0 - 1e-9), return_counts=True)
    ratio = distinct[:, None, None]
    points, point_weights = np.polynomial.hermite_e.hermegauss(_NODES)
    point_weights = point_weights / point_weights.sum()
    uniform, chi_weights = np.polynomial.legendre.leggauss(_NODES)
    chi_weights = chi_weights / 2.0
    scale = np.ones(1)
    if np.isinf(df):
        chi_weights = np.ones(1)
    else:
        scale = np.sqrt(stats.chi2.ppf((uniform + 1.0) / 2.0, df) / df)

    def excess(q: float) -> float:
        bound = (ratio * points[:, None] + q * scale) / np.sqrt(1.0 - ratio**2)
        inside = np.exp(np.tensordot(times, special.log_ndtr(bound), axes=1))
        return float(point_weights @ inside @ chi_weights) - LEVEL

    return float(optimize.brentq(excess, -10.0, 200.0, xtol=1e-8))
