"""Gains against the size of the target data, and what they are worth in it, as text, rows and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raystilts.analysis.target_size import Crossing, TargetCurve, TargetPoint
from raystilts.report.analysis.figures import panels, save, style
from raystilts.report.analysis.table_rows import Row, bounds, number, points
from raystilts.report.arms import arm_label
from raystilts.report.tables import wrap


def target_size_text(curves: Sequence[TargetCurve], unit: str) -> str:
    """A table an arm, and what follows, in 80 columns."""
    lines: list[str] = []
    for curve in curves:
        label = _label(curve)
        where = curve.language or "mean over languages"
        lines += wrap(f"{curve.target} after {label}: {curve.metric} x 100 on test, {where}")
        lines.append(f"  {unit.split()[0]:>9} {'score':>6} {'gain':>6} {'95 % interval':>15}   worth in target {unit}")
        lines += [_line(curve, point) for point in curve.points]
        lines += [*wrap(curve_verdict(curve), "  "), ""]
    return "\n".join([*lines, *wrap(verdict(curves))]) + "\n"


def _line(curve: TargetCurve, point: TargetPoint) -> str:
    gain = f"{points(point.gain, 6)} {bounds(point.low, point.high):>15}"
    return f"  {number(point.size):>9} {100 * point.score:>6.1f} {gain}   {_worth(curve, point)}".rstrip()


def _worth(curve: TargetCurve, point: TargetPoint) -> str:
    if point.range == "above":
        value = f"over {number(curve.none_largest - point.size)}"
    elif point.range == "below":
        value = "less than measured"
    else:
        value = _signed(point.worth or 0.0)
    if point.low is None:
        return value
    low = "below" if point.worth_low is None else _signed(point.worth_low)
    high = "above" if point.worth_high is None else _signed(point.worth_high)
    return f"{value} [{low}, {high}]"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


def curve_verdict(curve: TargetCurve) -> str:
    """When the intermediate stops helping, in words."""
    largest = number(curve.largest)
    if curve.still_helps is None:
        return "One seed cannot say where it stops helping: run more seeds."
    if curve.still_helps:
        text = f"It still helps at the largest size, {largest}."
    elif curve.stops_at is not None:
        text = f"From {number(curve.stops_at)} on no gain is told apart from zero or above it."
    else:
        text = "At no size is its gain told apart from zero and above it."
    return f"{text} {_crossing(curve.crossing)}"


def _crossing(found: Crossing) -> str:
    if found.size is None:
        share = f" (probability {found.probability:.2f})" if found.probability else ""
        return f"The curves cross at none of the measured sizes{share}."
    low = "below the smallest" if found.low is None else number(found.low)
    high = "beyond the largest" if found.high is None else number(found.high)
    return f"The gain falls through zero at {number(found.size)} [{low}, {high}]."


def verdict(curves: Sequence[TargetCurve]) -> str:
    """What follows, in words."""
    if not curves:
        return "No arm was run at two target sizes or more: give target_fractions several values."
    helps = [_label(c) for c in curves if c.still_helps]
    stops = [c for c in curves if c.stops_at is not None]
    parts = []
    if helps:
        parts.append(f"{', '.join(helps)} still help at the largest target size")
    if stops:
        ends = ", ".join(f"{_label(c)} at {number(c.stops_at or 0)}" for c in stops)
        parts.append(f"{ends} stop helping")
    if not parts:
        return "No arm is seen to help at any size; [below, above] are ends beyond the measured sizes."
    return f"{'; '.join(parts)}. [below, above] are ends beyond the measured sizes; nothing is said of larger ones."


def _label(curve: TargetCurve) -> str:
    return arm_label(curve.intermediate, curve.intermediate_fraction)


def target_rows(curves: Sequence[TargetCurve], unit: str) -> list[Row]:
    """A row a size of each arm."""
    return [
        {
            "target": c.target,
            "language": c.language or "macro",
            "metric": c.metric,
            "intermediate": c.intermediate,
            "intermediate_fraction": c.intermediate_fraction,
            "size": p.size,
            "unit": unit,
            "score": p.score,
            "none": p.score - p.gain,
            "gain": p.gain,
            "gain_low": p.low,
            "gain_high": p.high,
            "runs": p.runs,
            "worth": p.worth,
            "worth_low": p.worth_low,
            "worth_high": p.worth_high,
            "worth_range": p.range,
            "crossing": c.crossing.size,
            "crossing_low": c.crossing.low,
            "crossing_high": c.crossing.high,
            "crossing_probability": c.crossing.probability,
            "stops_at": c.stops_at,
            "still_helps": c.still_helps,
        }
        for c in curves
        for p in c.points
    ]


def plot_target_size(curves: Sequence[TargetCurve], unit: str, path: Path) -> None:
    """For each target scores and gains against size, a line an arm."""
    targets = list(dict.fromkeys(c.target for c in curves))
    figure, axes = panels(2 * len(targets), width=3.8, height=3.0, columns=2)
    for index, target in enumerate(targets):
        scores, gains = axes[2 * index : 2 * index + 2]
        mine = [c for c in curves if c.target == target]
        base = {p.size: 100 * (p.score - p.gain) for c in mine for p in c.points}
        scores.plot(sorted(base), [base[size] for size in sorted(base)], label="none", **style(0))
        for number_, curve in enumerate(mine, start=1):
            label = _label(curve)
            sizes = [p.size for p in curve.points]
            look = style(number_)
            scores.plot(sizes, [100 * p.score for p in curve.points], label=label, **look)
            gains.plot(sizes, [100 * p.gain for p in curve.points], label=label, **look)
            known = [p for p in curve.points if p.high is not None]
            gains.errorbar(
                [p.size for p in known], [100 * p.gain for p in known], [100 * ((p.high or 0) - p.gain) for p in known],
                fmt="none", ecolor=look["color"], capsize=2, linewidth=0.8,
            )  # fmt: skip
        gains.axhline(0, color="0.6", linewidth=0.8)
        for axis, what in ((scores, f"{mine[0].metric} x 100"), (gains, "gain over none x 100")):
            axis.set_xscale("log")
            axis.set_title(target, fontsize=9)
            axis.set_xlabel(f"target data, {unit}", fontsize=8)
            axis.set_ylabel(what, fontsize=8)
            axis.legend(fontsize=7)
    save(figure, path, target_rows(curves, unit))
