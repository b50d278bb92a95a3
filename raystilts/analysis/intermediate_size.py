"""Gains against the size of the intermediate data, as text, rows and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raystilts.analysis.presentation import Row, bounds, number, p_text, panels, points, save, spread, style
from raystilts.analysis.size_curves import SizeCurve
from raystilts.analysis.slopes import SlopeComparison
from raystilts.report.text import count, wrap
from raystilts.results.target_answer import arm_label

_ACROSS = 8


def sizes_text(curves: Sequence[SizeCurve], comparison: SlopeComparison | None, unit: str) -> str:
    """The curves of the mean (or of one language), the comparison of slopes, and what follows, in 80 columns."""
    lines: list[str] = []
    for curve in curves:
        lines += [*_curve_lines(curve, unit), ""]
    if comparison is not None:
        lines += [*comparison_lines(comparison), ""]
    return "\n".join([*lines, *wrap(verdict(curves))]) + "\n"


def _curve_lines(curve: SizeCurve, unit: str) -> list[str]:
    where = curve.language or "mean over languages"
    name = arm_label(curve.target, curve.target_fraction)
    lines = wrap(f"{name} after {curve.intermediate}: gain over none x 100 ({curve.metric}), {where}")
    if curve.overlap:
        lines += wrap(f"note: {curve.intermediate} trains on this target's own training data", "  ")
    for start in range(0, len(curve.points), _ACROSS):
        some = curve.points[start : start + _ACROSS]
        lines.append(f"  {unit.split()[0]:<9}" + "".join(f"{number(p.size):>8}" for p in some))
        lines.append(f"  {'gain':<9}" + "".join(points(p.gain, 8) for p in some))
        halves = ["-" if p.high is None else f"{100 * (p.high - p.gain):.1f}" for p in some]
        lines.append(f"  {'± (95 %)':<9}" + "".join(f"{half:>8}" for half in halves))
    monotone = "" if curve.monotone_p is None else f"; monotone: p = {p_text(curve.monotone_p)}"
    slope = f"{points(curve.slope.value)} {bounds(curve.slope.low, curve.slope.high)}".strip()
    lines += wrap(f"for each tenfold of the data: {slope}{monotone}", "  ")
    return lines + wrap(_fit_text(curve), "  ")


def _fit_text(curve: SizeCurve) -> str:
    held = curve.held_out
    tested = ""
    if held is not None:
        sizes = "size" if held.sizes == 1 else f"{held.sizes} sizes"
        tested = (
            f"; on the largest {sizes}, held out, the power law misses by {100 * held.power_law:.1f}, the last value "
            f"by {100 * held.last_value:.1f}"
        )
    if curve.refused is not None or curve.alpha is None or curve.asymptote is None or curve.at_ten_times is None:
        return f"no curve: {curve.refused}{tested}"
    far, end = curve.at_ten_times, curve.asymptote
    return (
        f"g_inf - A D^-alpha: alpha {curve.alpha.value:.2f} [{curve.alpha.low:.2f}, {curve.alpha.high:.2f}], at ten "
        f"times the data {points(far.value)} {bounds(far.low, far.high)}, without end {points(end.value)} "
        f"{bounds(end.low, end.high)}{tested}"
    )


def comparison_lines(found: SlopeComparison) -> list[str]:
    """The two groups' slopes, the test, and what it could have seen."""
    lines = wrap(
        f"slope for each tenfold of the data of {', '.join(found.intermediates)}, mean over targets, x 100, over "
        f"{count(len(found.seeds), 'seed')}:"
    )
    lines.append(f"  {points(found.first_slope, 6)}  {_names(found.first)}")
    lines.append(f"  {points(found.second_slope, 6)}  {_names(found.second)}")
    if found.p is None:
        return lines + wrap("one seed cannot say whether they differ: run more seeds", "  ")
    lines += wrap(
        f"difference {points(found.difference)} {bounds(found.low, found.high)}, p = {p_text(found.p)} (t over seeds)",
        "  ",
    )
    needed = f"{found.seeds_needed} seeds" if found.seeds_needed else "more than 100 seeds"
    return lines + wrap(
        f"with these seeds the test sees a difference of {100 * (found.visible or 0):.1f} with probability 0.80, and "
        f"one of {100 * found.effect:.1f} with probability {found.power or 0:.2f}; for that one 0.80 takes {needed}",
        "  ",
    )


def _names(names: Sequence[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 68 else f"{text[:65]}..."


def verdict(curves: Sequence[SizeCurve]) -> str:
    """What follows from the curves, in words."""
    if not curves:
        return "No intermediate was run at two sizes or more: give intermediate_fractions several values."
    rising = [c for c in curves if c.slope.low > 0]
    falling = [c for c in curves if c.slope.high < 0]
    shown = [c for c in curves if c.refused is None]
    better = [c for c in shown if c.held_out is not None and c.held_out.better]
    text = (
        f"Of {count(len(curves), 'curve')}, {len(rising)} rise with the size of the data and {len(falling)} fall (95 % "
        f"interval of the slope); {len(shown)} follow a power law that the data identify"
    )
    if not shown:
        return f"{text}: nothing is said of sizes that were not run."
    return f"{text}, {len(better)} of which foresee the largest sizes better than the last value does."


def size_rows(curves: Sequence[SizeCurve], unit: str) -> list[Row]:
    """A row a size; what holds for a whole curve stands in each of its rows."""
    return [
        {
            "target": c.target,
            "target_fraction": c.target_fraction,
            "language": c.language or "macro",
            "metric": c.metric,
            "intermediate": c.intermediate,
            "overlap": c.overlap,
            "size": p.size,
            "unit": unit,
            "gain": p.gain,
            "gain_low": p.low,
            "gain_high": p.high,
            "runs": p.runs,
            **spread("slope", c.slope),
            "monotone_p": c.monotone_p,
            "lack_of_fit_p": c.lack_of_fit_p,
            "refused": c.refused,
            **spread("alpha", c.alpha),
            **spread("asymptote", c.asymptote),
            **spread("at_ten_times", c.at_ten_times),
            "held_out_power_law": c.held_out.power_law if c.held_out else None,
            "held_out_last_value": c.held_out.last_value if c.held_out else None,
        }
        for c in curves
        for p in c.points
    ]


def plot_sizes(curves: Sequence[SizeCurve], unit: str, path: Path) -> None:
    """A panel a target, a line an intermediate, with the 95 % intervals of single sizes."""
    names = list(dict.fromkeys(arm_label(c.target, c.target_fraction) for c in curves))
    series = list(dict.fromkeys(c.intermediate for c in curves))
    figure, axes = panels(len(names))
    for axis, name in zip(axes, names, strict=True):
        for curve in curves:
            if arm_label(curve.target, curve.target_fraction) == name:
                known = [p for p in curve.points if p.high is not None]
                look = style(series.index(curve.intermediate))
                label = curve.intermediate + (" (overlap)" if curve.overlap else "")
                axis.plot([p.size for p in curve.points], [100 * p.gain for p in curve.points], label=label, **look)
                halves = [100 * ((p.high or 0.0) - p.gain) for p in known]
                axis.errorbar(
                    [p.size for p in known], [100 * p.gain for p in known], halves, fmt="none", ecolor=look["color"],
                    capsize=2, linewidth=0.8,
                )  # fmt: skip
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_title(name, fontsize=9)
        axis.set_xlabel(f"intermediate data, {unit}", fontsize=8)
        axis.set_ylabel("gain over none x 100", fontsize=8)
        axis.legend(fontsize=7)
    save(figure, path, size_rows(curves, unit))
