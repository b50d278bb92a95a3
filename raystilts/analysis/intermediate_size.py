"""How does the gain of an intermediate change with the size of its data, for each target and language?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raystilts.analysis.curves import Estimate, HeldOut, SizeMeans, hold_out, judge_curve
from raystilts.analysis.inference import student_half
from raystilts.analysis.presentation import (
    Row,
    bounds,
    count,
    number,
    p_text,
    panels,
    points,
    save,
    spread,
    style,
    wrap,
)
from raystilts.analysis.reading import Overlaps, SizeOf, rows_by_intermediate, table_of
from raystilts.analysis.slopes import SlopeComparison, comparison_lines
from raystilts.ranking.intervals import Decomposition, FloatArray, decompose, gain_variance
from raystilts.results.answers import arm_label
from raystilts.results.stratum import Stratum


@dataclass(frozen=True, slots=True)
class SizePoint:
    """The gain at one size, as a share (0.01 is a point), with its own 95 % t interval (None without repeats)."""

    size: float
    gain: float
    low: float | None
    high: float | None
    runs: int


@dataclass(frozen=True, slots=True)
class SizeCurve:
    """The gains of one intermediate in one target and language.

    Attributes:
        language: None for the mean over the target's languages.
        overlap: Whether the intermediate trains on the target's own data.
        points: In order of size.
        slope: Gain for each tenfold of the data, least squares on log10 of the size.
        monotone_p: P-value of "the gain only rises, or only falls with size".
        refused: Why no power law is shown; None where it is.
        alpha: Exponent; likewise the asymptote (the gain without end of data).
        at_ten_times: The gain predicted at ten times the largest size.
        held_out: Errors on the largest sizes.
    """

    target: str
    target_fraction: float | None
    language: str | None
    metric: str
    intermediate: str
    overlap: bool
    points: tuple[SizePoint, ...]
    slope: Estimate
    monotone_p: float | None
    lack_of_fit_p: float | None
    refused: str | None
    alpha: Estimate | None
    asymptote: Estimate | None
    at_ten_times: Estimate | None
    held_out: HeldOut | None


def size_curves(
    strata: Iterable[Stratum], languages: Iterable[str | None], size_of: SizeOf, overlaps: Overlaps
) -> list[SizeCurve]:
    """The curve of every intermediate that was run at several fractions.

    Args:
        strata: With each language, as of `reading.read_strata`.
        languages: Those wanted, None for the mean; a stratum without one is left out of it.
        size_of: Size of an intermediate's data at a fraction.
        overlaps: Which intermediates train on a target's own data.
    """
    curves = []
    for stratum in strata:
        for language in languages:
            if language is None or language in stratum.languages:
                fit = decompose(table_of(stratum, language), deterministic=stratum.deterministic)
                curves += _curves(stratum, language, fit, size_of, overlaps)
    return curves


def _curves(
    stratum: Stratum, language: str | None, fit: Decomposition, size_of: SizeOf, overlaps: Overlaps
) -> list[SizeCurve]:
    found = []
    for (name, _), rows in rows_by_intermediate(stratum, fit.present).items():
        base = stratum.baseline_of(rows[0])
        if not fit.present[base]:
            continue
        sizes = np.array([size_of(name, stratum.arms[row].intermediate_fraction or 1.0) for row in rows])
        found.append(_curve(stratum, language, fit, name, rows, base, sizes, overlaps(name, stratum.target)))
    return found


def _curve(
    stratum: Stratum,
    language: str | None,
    fit: Decomposition,
    name: str,
    rows: list[int],
    none: int,
    sizes: FloatArray,
    overlap: bool,
) -> SizeCurve:
    gains = fit.effects[rows] - fit.effects[none]
    means = SizeMeans(sizes, gains, fit.counts[rows].astype(float), fit.variance, fit.df)
    base = fit.variances[none] + (fit.shift_variances[rows[0]] + fit.shift_variances[none] if fit.split else 0.0)
    half = student_half(float(base), fit.df)
    points = tuple(_point(fit, row, none, size) for row, size in zip(rows, sizes, strict=True))
    judged = judge_curve(means)
    shown = judged.law if judged.refused is None else None
    return SizeCurve(
        target=stratum.target,
        target_fraction=stratum.target_fraction,
        language=language,
        metric=stratum.metric or "",
        intermediate=name,
        overlap=overlap,
        points=points,
        slope=_slope(means),
        monotone_p=judged.monotone_p,
        lack_of_fit_p=judged.law.lack_of_fit_p if judged.law else None,
        refused=judged.refused,
        alpha=shown.alpha if shown else None,
        asymptote=shown.asymptote.widened(half) if shown else None,
        at_ten_times=shown.predict(10.0 * float(sizes[-1])).widened(half) if shown else None,
        held_out=hold_out(means),
    )


def _point(fit: Decomposition, row: int, none: int, size: float) -> SizePoint:
    gain, runs = float(fit.effects[row] - fit.effects[none]), int(fit.counts[row])
    if fit.df <= 0:
        return SizePoint(float(size), gain, None, None, runs)
    variance, df = gain_variance(fit, row, none)
    half = student_half(variance, df)
    return SizePoint(float(size), gain, gain - half, gain + half, runs)


def _slope(means: SizeMeans) -> Estimate:
    x = np.log10(means.sizes)
    centred = x - np.sum(means.counts * x) / means.counts.sum()
    squares = float(np.sum(means.counts * centred**2))
    value = float(np.sum(means.counts * centred * means.means) / squares)
    half = student_half(means.variance / squares, means.df) if means.df > 0 else float("nan")
    return Estimate(value, value - half, value + half)


_ACROSS = 8


def sizes_text(
    curves: Sequence[SizeCurve], comparison: SlopeComparison | None, unit: str, baseline: str = "none"
) -> str:
    """The curves of the mean (or of one language), the comparison of slopes, and what follows, in 80 columns."""
    lines: list[str] = []
    for curve in curves:
        lines += [*_curve_lines(curve, unit, baseline), ""]
    if comparison is not None:
        lines += [*comparison_lines(comparison), ""]
    return "\n".join([*lines, *wrap(verdict(curves))]) + "\n"


def _curve_lines(curve: SizeCurve, unit: str, baseline: str) -> list[str]:
    where = curve.language or "mean over languages"
    name = arm_label(curve.target, curve.target_fraction)
    lines = wrap(f"{name} after {curve.intermediate}: gain over {baseline} x 100 ({curve.metric}), {where}")
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


def verdict(curves: Sequence[SizeCurve]) -> str:
    """What follows from the curves, in words."""
    if not curves:
        return (
            "No intermediate was run at two sizes or more: give intermediate_fractions several values, or "
            "intermediate_steps."
        )
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


def plot_sizes(curves: Sequence[SizeCurve], unit: str, baseline: str, path: Path) -> None:
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
        axis.set_ylabel(f"gain over {baseline} x 100", fontsize=8)
        axis.legend(fontsize=7)
    save(figure, path, size_rows(curves, unit))
