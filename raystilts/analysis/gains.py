"""Gains over `none` in each language, honest for the whole family of languages and arms of a target.

In each language the scores are blocked by seed and the noise is pooled over the arms (`ranking.intervals`): a gain is
paired on the seeds that the arm shares with `none`. Forty languages times five arms are two hundred tests: p-values
are Holm's, and the wide intervals are Bonferroni's, all of which hold together with 95 % whatever the dependence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from raystilts.analysis.inference import LEVEL, holm, student_half
from raystilts.analysis.presentation import Row, bounds, count, p_text, panels, points, save, style, wrap
from raystilts.analysis.reading import Overlaps, table_of
from raystilts.ranking.intervals import Decomposition, decompose, gain_variance
from raystilts.results.answers import arm_label
from raystilts.results.stratum import Arm, Stratum

#: Arms of a target with more languages than this show those that are told apart from zero.
_SHORT = 15


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
    rows = [
        row
        for row, arm in enumerate(stratum.arms)
        if arm.intermediate != "none" and (fraction is None or arm.intermediate_fraction in (None, fraction))
    ]
    found = [
        _gain(stratum, fits[name], row, name, overlaps)
        for row in rows
        for name in names
        if fits[name].present[row] and fits[name].present[stratum.baseline_of(row)]
    ]
    return _as_family(found, {name: fits[name] for name in names}, stratum)


def _gain(stratum: Stratum, fit: Decomposition, row: int, language: str | None, overlaps: Overlaps) -> LanguageGain:
    arm, base = stratum.arms[row], stratum.baseline_of(row)
    gain = float(fit.effects[row] - fit.effects[base])
    half, p = _error(fit, row, base, gain)
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
        shared_seeds=int((seen[row] & seen[base]).sum()),
        overlap=overlaps(arm.intermediate, stratum.target),
    )


def _error(
    fit: Decomposition, row: int, base: int, gain: float, level: float = 0.95
) -> tuple[float | None, float | None]:
    """Half the width of the gain's interval over a row, and its p-value; None where nothing is repeated."""
    if fit.df <= 0 and not (fit.deterministic[row] and fit.deterministic[base]):
        return None, None
    variance, df = gain_variance(fit, row, base)
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
            half, _ = _error(fits[one.language], row, stratum.baseline_of(row), one.gain, 1.0 - 0.05 / len(members))
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


def gains_text(families: Sequence[Sequence[LanguageGain]], every: bool, baseline: str = "none") -> str:
    """A table for each target: the mean of each arm, and its languages.

    Args:
        families: The gains of one target (and target fraction) each.
        every: Show all languages, however many.
        baseline: What the arm `none` is called.
    """
    lines: list[str] = []
    for family in families:
        first, number = family[0], family_size(family)
        lines += wrap(
            f"{arm_label(first.target, first.target_fraction)}: gain over {baseline} x 100 ({first.metric}) on test"
        )
        lines += wrap(
            f"joint intervals and Holm's p hold together for all {number} arms and languages of this target"
            if number
            else "no intervals: no run is repeated with another seed",
            "  ",
        )
        lines.append(f"  {'':<20} {'score':>6} {'gain':>6} {'95 % interval':>15} {'joint':>15} {'p (Holm)':>9}")
        for _, group in groupby(family, key=lambda g: (g.intermediate, g.intermediate_fraction, g.hyperparameters)):
            lines += _arm_lines(list(group), every, baseline)
        lines.append("")
    return "\n".join([*lines, *wrap(verdict(families))]) + "\n"


def _arm_lines(gains: Sequence[LanguageGain], every: bool, baseline: str) -> list[str]:
    label = arm_label(gains[0].intermediate, gains[0].intermediate_fraction)
    mean = [one for one in gains if one.language is None]
    single = [one for one in gains if one.language is not None]
    lines = [_line(label, mean[0])] if mean else [f"  {label}"]
    if gains[0].overlap:
        lines += wrap("(trains on the target's own training data)", "    ")
    if gains[0].shared_seeds == 0 and gains[0].runs > 1:
        lines += wrap(f"(shares no seed with {baseline}: intervals include the variance between seeds)", "    ")
    shown = [one for one in single if every or len(single) <= _SHORT or sure(one)]
    lines += [_line(f"  {one.language}", one) for one in shown]
    hidden = [one for one in single if one not in shown]
    if hidden:
        low, high = min(one.gain for one in hidden), max(one.gain for one in hidden)
        lines += wrap(
            f"{count(len(hidden), 'language')} not told apart from zero: {points(low)} to {points(high)} (--all shows "
            "them)",
            "    ",
        )
    return lines


def _line(name: str, one: LanguageGain) -> str:
    own, joint = bounds(one.low, one.high), bounds(one.joint_low, one.joint_high)
    star = "*" if sure(one) else " "
    row = f"{star} {name:<20} {100 * one.score:>6.1f} {points(one.gain, 6)} {own:>15} {joint:>15}"
    return f"{row} {p_text(one.p_holm):>9}".rstrip()


def sure(one: LanguageGain) -> bool:
    """Whether the gain is told apart from zero within its family."""
    return one.p_holm is not None and one.p_holm < LEVEL


def verdict(families: Sequence[Sequence[LanguageGain]]) -> str:
    """What follows, in words."""
    tested = [one for family in families for one in family if one.p_holm is not None]
    if not tested:
        return "Nothing is told apart from zero without a second seed."
    up = sum(sure(one) and one.gain > 0 for one in tested)
    down = sum(sure(one) and one.gain < 0 for one in tested)
    wide = sorted(one.joint_high - one.gain for one in tested if one.joint_high is not None)
    middle = min(1.0, wide[len(wide) // 2])
    return (
        f"* told apart from zero. Of {len(tested)} gains, {up} are above zero and {down} below; half of the others' "
        f"joint intervals are ±{100 * middle:.1f} or wider, so smaller gains could not be seen."
    )


def gain_rows(families: Sequence[Sequence[LanguageGain]]) -> list[Row]:
    """A row an arm and language; language `macro` is the mean."""
    return [asdict(one) | {"language": one.language or "macro"} for family in families for one in family]


def plot_gains(families: Sequence[Sequence[LanguageGain]], baseline: str, path: Path) -> None:
    """A panel a target: gains by language with their joint intervals, a marker an arm; filled where told apart."""
    figure, axes = panels(len(families), width=3.6, height=5.2, columns=3)
    for axis, family in zip(axes, families, strict=True):
        single = [one for one in family if one.language is not None]
        languages = sorted({str(one.language) for one in single}, reverse=True)
        arms = list(dict.fromkeys(arm_label(one.intermediate, one.intermediate_fraction) for one in single))
        for index, arm in enumerate(arms):
            mine = [one for one in single if arm_label(one.intermediate, one.intermediate_fraction) == arm]
            look = style(index)
            shift = (index - (len(arms) - 1) / 2) * 0.7 / len(arms)
            for one in mine:
                y = languages.index(str(one.language)) - shift
                if one.joint_low is not None and one.joint_high is not None:
                    axis.plot([100 * one.joint_low, 100 * one.joint_high], [y, y], color=look["color"], linewidth=0.7)
                fill = look["color"] if sure(one) else "white"
                axis.plot(100 * one.gain, y, look["marker"], color=look["color"], markerfacecolor=fill, markersize=4)
            axis.plot([], [], look["marker"], color=look["color"], markersize=4, label=arm)
        axis.axvline(0, color="0.6", linewidth=0.8)
        axis.set_yticks(range(len(languages)), languages, fontsize=6)
        axis.set_title(arm_label(family[0].target, family[0].target_fraction), fontsize=9)
        axis.set_xlabel(f"gain over {baseline} x 100 (filled: told apart from 0)", fontsize=7)
        axis.legend(fontsize=6)
    save(figure, path, gain_rows(families))
