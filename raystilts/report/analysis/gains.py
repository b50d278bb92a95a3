"""Gains by language as text, rows and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from raystilts.analysis.gains import LanguageGain, family_size
from raystilts.report.analysis.figures import panels, save, style
from raystilts.report.analysis.table_rows import Row, bounds, p_text, points
from raystilts.report.arms import arm_label
from raystilts.report.tables import count, wrap

#: Arms of a target with more languages than this show those that are told apart from zero.
_SHORT = 15
LEVEL = 0.05


def gains_text(families: Sequence[Sequence[LanguageGain]], every: bool) -> str:
    """A table for each target: the mean of each arm, and its languages.

    Args:
        families: The gains of one target (and target fraction) each.
        every: Show all languages, however many.
    """
    lines: list[str] = []
    for family in families:
        first, number = family[0], family_size(family)
        lines += wrap(
            f"{arm_label(first.target, first.target_fraction)}: gain over none x 100 ({first.metric}) on test"
        )
        lines += wrap(
            f"joint intervals and Holm's p hold together for all {number} arms and languages of this target"
            if number
            else "no intervals: no run is repeated with another seed",
            "  ",
        )
        lines.append(f"  {'':<20} {'score':>6} {'gain':>6} {'95 % interval':>15} {'joint':>15} {'p (Holm)':>9}")
        for _, group in groupby(family, key=lambda g: (g.intermediate, g.intermediate_fraction, g.hyperparameters)):
            lines += _arm_lines(list(group), every)
        lines.append("")
    return "\n".join([*lines, *wrap(verdict(families))]) + "\n"


def _arm_lines(gains: Sequence[LanguageGain], every: bool) -> list[str]:
    label = arm_label(gains[0].intermediate, gains[0].intermediate_fraction)
    mean = [one for one in gains if one.language is None]
    single = [one for one in gains if one.language is not None]
    lines = [_line(label, mean[0])] if mean else [f"  {label}"]
    if gains[0].overlap:
        lines += wrap("(trains on the target's own training data)", "    ")
    if gains[0].shared_seeds == 0 and gains[0].runs > 1:
        lines += wrap("(shares no seed with none: intervals include the variance between seeds)", "    ")
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


def plot_gains(families: Sequence[Sequence[LanguageGain]], path: Path) -> None:
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
        axis.set_xlabel("gain over none x 100 (filled: told apart from 0)", fontsize=7)
        axis.legend(fontsize=6)
    save(figure, path, gain_rows(families))
