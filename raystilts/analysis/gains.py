"""Gains over `none` in each language, honest for the whole family of languages and arms of a target.

In each language the scores are blocked by seed and the noise is pooled over the arms (`ranking.intervals`): a gain is
paired on the seeds that the arm shares with `none`. Forty languages times five arms are two hundred tests: p-values
are Holm's, and the wide intervals are Bonferroni's, all of which hold together with 95 % whatever the dependence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from raystilts.analysis.multiplicity import holm
from raystilts.analysis.reading import Overlaps, table_of
from raystilts.analysis.size_curves import student_half
from raystilts.ranking.intervals import Decomposition, decompose, gain_variance
from raystilts.results.strata import Arm, Stratum


@dataclass(frozen=True, slots=True)
class LanguageGain:
    """One arm in one language of one target. Gains are shares: 0.01 is a point.

    Attributes:
        language: None for the mean over the target's languages, which is no member of the family.
        low: Lower end of the gain's own 95 % interval; None where no run is repeated.
        joint_low: Lower end of an interval that holds for the whole family together.
        p: Two-sided p-value of no gain.
        p_holm: The same, adjusted for the family: all arms and languages of the target.
        shared_seeds: Seeds that the arm has in common with `none`.
    """

    target: str
    target_fraction: float | None
    metric: str
    intermediate: str
    intermediate_fraction: float | None
    hyperparameters: str
    language: str | None
    score: float
    gain: float
    low: float | None
    high: float | None
    joint_low: float | None
    joint_high: float | None
    p: float | None
    p_holm: float | None
    runs: int
    shared_seeds: int
    overlap: bool


def language_gains(stratum: Stratum, overlaps: Overlaps, fraction: float | None = None) -> list[LanguageGain]:
    """The gains of every arm of a target in each language, and in the mean over languages.

    Args:
        stratum: With each language.
        overlaps: Arms that train on the target's own data are shown, and are members of the family like the others.
        fraction: Only arms at this intermediate fraction.

    Returns:
        Arm by arm, the mean over languages first; nothing where `none` was not run.
    """
    names: list[str | None] = [None, *stratum.languages] if len(stratum.languages) > 1 else list(stratum.languages)
    fits = {name: decompose(table_of(stratum, name), deterministic=stratum.deterministic) for name in names}
    rows = [row for row in range(1, len(stratum.arms)) if _wanted(stratum, row, fraction)]
    found = [
        _gain(stratum, fits[name], row, name, overlaps)
        for row in rows
        for name in names
        if fits[name].present[row] and fits[name].present[0]
    ]
    return _as_family(found, {name: fits[name] for name in names}, stratum)


def _wanted(stratum: Stratum, row: int, fraction: float | None) -> bool:
    arm = stratum.arms[row]
    return arm.intermediate != "none" and (fraction is None or arm.intermediate_fraction in (None, fraction))


def _gain(stratum: Stratum, fit: Decomposition, row: int, language: str | None, overlaps: Overlaps) -> LanguageGain:
    arm = stratum.arms[row]
    gain = float(fit.effects[row] - fit.effects[0])
    half, p = _error(fit, row, gain)
    seen = np.isfinite(table_of(stratum, language))
    return LanguageGain(
        target=stratum.target,
        target_fraction=stratum.target_fraction,
        metric=stratum.metric or "",
        intermediate=arm.intermediate,
        intermediate_fraction=arm.intermediate_fraction,
        hyperparameters=arm.hyperparameters,
        language=language,
        score=float(fit.effects[row]),
        gain=gain,
        low=None if half is None else gain - half,
        high=None if half is None else gain + half,
        joint_low=None,
        joint_high=None,
        p=p,
        p_holm=None,
        runs=int(fit.counts[row]),
        shared_seeds=int((seen[row] & seen[0]).sum()),
        overlap=overlaps(arm.intermediate, stratum.target),
    )


def _error(fit: Decomposition, row: int, gain: float, level: float = 0.95) -> tuple[float | None, float | None]:
    """Half the width of the gain's interval, and its p-value; None where nothing is repeated."""
    if fit.df <= 0 and not (fit.deterministic[row] and fit.deterministic[0]):
        return None, None
    variance, df = gain_variance(fit, row)
    if variance == 0.0:
        return 0.0, 1.0 if gain == 0.0 else 0.0
    from scipy.stats import t as student  # here: loading it is slow

    return student_half(variance, df, level), float(2 * student.sf(abs(gain) / variance**0.5, df))


def _as_family(
    found: list[LanguageGain], fits: dict[str | None, Decomposition], stratum: Stratum
) -> list[LanguageGain]:
    members = [one.p for one in found if _is_member(one, len(fits))]
    adjusted = iter(holm([p for p in members if p is not None]))
    answers = []
    for one in found:
        if _is_member(one, len(fits)):
            row = stratum.arms.index(Arm(one.intermediate, one.intermediate_fraction, one.hyperparameters))
            half, _ = _error(fits[one.language], row, one.gain, 1.0 - 0.05 / len(members))
            assert half is not None
            one = replace(one, joint_low=one.gain - half, joint_high=one.gain + half, p_holm=float(next(adjusted)))
        answers.append(one)
    return answers


def _is_member(one: LanguageGain, tables: int) -> bool:
    """Whether a gain is tested: those in single languages are, and the mean only where it is the only one."""
    return one.p is not None and (one.language is not None or tables == 1)


def family_size(gains: Iterable[LanguageGain]) -> int:
    """How many tests the p-values are adjusted for."""
    return sum(one.p_holm is not None for one in gains)
