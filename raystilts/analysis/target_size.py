"""When does an intermediate stop helping? Gains against the size of the target's data, and what they are worth in it.

At each target size there is a table of arms by seeds. Two questions need curves: where a gain crosses zero, and how
many target examples the intermediate is worth ("effective data transferred", Hernandez et al. 2021, arXiv
2102.01293): at size D the arm scores what `none` would at size D', so it is worth D' - D examples. Both are found on
curves that are straight between the measured sizes in log size, with nothing beyond them.

Intervals are of draws of the means: normal around what was measured, with the variance between seeds drawn from its
own distribution (scaled inverse chi-square). A bootstrap over three to five seeds leaves out too much: see
benchmarks/analysis_simulation.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from raystilts.analysis.curves import falling_zero, interval_end, size_reaching
from raystilts.analysis.inference import student_half
from raystilts.analysis.presentation import Row, bounds, number, panels, points, save, style, wrap
from raystilts.analysis.reading import Overlaps, SizeOf, table_of
from raystilts.ranking.intervals import Decomposition, FloatArray, decompose, gain_variance
from raystilts.results.answers import arm_label
from raystilts.results.stratum import Stratum

DRAWS = 4_000
LEVEL = 0.95
#: Where a value lies against the measured sizes.
Range = Literal["within", "below", "above"]


@dataclass(frozen=True, slots=True)
class TargetPoint:
    """One arm at one target size. Gains are shares.

    Attributes:
        size: Target examples (or the fraction where sizes are not known).
        worth: Target examples that the intermediate is worth: those that `none` would need more for the same score.
        worth_low: Lower end of its 95 % interval; None where the interval leaves the measured sizes.
        range: Whether `none` reaches the arm's score within the measured sizes, only below, or only above them.
    """

    size: float
    score: float
    gain: float
    low: float | None
    high: float | None
    runs: int
    worth: float | None
    worth_low: float | None
    worth_high: float | None
    range: Range


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a gain turns from positive to negative (or back): a size, with its 95 % interval.

    Attributes:
        low: None where the curves may have crossed below the measured sizes, or not at all; likewise `high`, above.
        probability: Share of draws whose gain has different signs at the smallest and the largest size.
    """

    size: float | None
    low: float | None
    high: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class TargetCurve:
    """One arm over the target's sizes.

    Attributes:
        language: None for the mean over the target's languages.
        none_largest: The largest size that `none` was run at.
        stops_at: The smallest size from which on no gain's own interval is above zero; None where the last still is.
        still_helps: Whether the gain at the largest size is above zero.
    """

    target: str
    language: str | None
    metric: str
    intermediate: str
    intermediate_fraction: float | None
    points: tuple[TargetPoint, ...]
    none_largest: float
    crossing: Crossing
    stops_at: float | None
    still_helps: bool | None

    @property
    def largest(self) -> float:
        """The largest size of the arm."""
        return self.points[-1].size


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """One size: the fit of its table, and draws of the means [draws, arms]."""

    size: float
    stratum: Stratum
    fit: Decomposition
    draws: FloatArray


def target_curves(
    strata: Iterable[Stratum],
    language: str | None,
    size_of: SizeOf,
    overlaps: Overlaps,
    fraction: float | None = None,
) -> list[TargetCurve]:
    """The curve of every arm of every target that was run at two sizes or more.

    Args:
        strata: All fractions of the targets, each with its languages.
        language: None for the mean.
        size_of: Size of a target's data at a fraction.
        overlaps: Arms that are left out: what they are worth in target data, they have seen.
        fraction: Only arms at this intermediate fraction.
    """
    by_target: dict[str, list[Stratum]] = {}
    for stratum in strata:
        if stratum.target_fraction is not None and (language is None or language in stratum.languages):
            by_target.setdefault(stratum.target, []).append(stratum)
    curves = []
    for target, group in by_target.items():
        levels = [
            level
            for stratum in sorted(group, key=lambda one: one.target_fraction or 0.0)
            for level in [_level(stratum, language, size_of(target, stratum.target_fraction or 1.0))]
            if level.fit.present[0]
        ]
        arms = dict.fromkeys(
            (arm.intermediate, arm.intermediate_fraction) for level in levels for arm in level.stratum.arms[1:]
        )
        for name, part in arms:
            if name != "none" and not overlaps(name, target) and (fraction is None or part in (None, fraction)):
                mine = [(level, row) for level in levels for row in [_row(level, name, part)] if row is not None]
                if len(mine) > 1:
                    curves.append(_curve(levels, mine, language, name, part))
    return curves


def _level(stratum: Stratum, language: str | None, size: float) -> _Level:
    fit = decompose(table_of(stratum, language), deterministic=stratum.deterministic)
    rng = np.random.default_rng([round(1e6 * (stratum.target_fraction or 1.0)), len(stratum.arms)])
    noise = rng.standard_normal((DRAWS, len(fit.effects)))
    seeds = rng.standard_normal((DRAWS, max(1, len(fit.part_seeds))))
    if fit.df <= 0:
        return _Level(size, stratum, fit, np.full(noise.shape, np.nan))
    scale = np.sqrt(fit.df / rng.chisquare(fit.df, DRAWS))[:, None]
    # The seeds' common shift moves all arms of a table together: not its gains, but its level against other sizes.
    shift = fit.seed_variance if fit.seed_df > 0 and np.isfinite(fit.seed_variance) else 0.0
    spread = np.sqrt(shift / np.array([*fit.part_seeds, 1])[fit.parts]) if fit.part_seeds else np.zeros(len(fit.parts))
    common = seeds[:, np.maximum(fit.parts, 0)] * np.where(fit.parts >= 0, spread, 0.0)
    if fit.seed_df > 0:
        common = common * np.sqrt(fit.seed_df / rng.chisquare(fit.seed_df, DRAWS))[:, None]
    return _Level(size, stratum, fit, fit.effects + np.sqrt(fit.variances) * noise * scale + common)


def _row(level: _Level, name: str, part: float | None) -> int | None:
    """An arm's row; of several settings the one that ``none``, arm 0, has too."""
    rows = [
        row
        for row, arm in enumerate(level.stratum.arms)
        if (arm.intermediate, arm.intermediate_fraction) == (name, part) and level.fit.present[row]
    ]
    return min(rows, key=lambda row: level.stratum.baseline_of(row) != 0, default=None)


def _curve(
    levels: Sequence[_Level],
    mine: Sequence[tuple[_Level, int]],
    language: str | None,
    name: str,
    part: float | None,
) -> TargetCurve:
    sizes = np.array([level.size for level in levels])
    base = np.array([level.fit.effects[0] for level in levels])
    base_draws = np.stack([level.draws[:, 0] for level in levels], axis=1)
    points = tuple(_point(level, row, sizes, base, base_draws) for level, row in mine)
    first = mine[0][0].stratum
    return TargetCurve(
        target=first.target,
        language=language,
        metric=first.metric or "",
        intermediate=name,
        intermediate_fraction=part,
        points=points,
        none_largest=float(sizes[-1]),
        crossing=_crossing(mine),
        stops_at=_stops(points),
        still_helps=None if points[-1].low is None else points[-1].low > 0.0,
    )


def _point(level: _Level, row: int, sizes: FloatArray, base: FloatArray, base_draws: FloatArray) -> TargetPoint:
    fit = level.fit
    gain = float(fit.effects[row] - fit.effects[0])
    half = student_half(*gain_variance(fit, row)) if fit.df > 0 else float("nan")
    known = np.isfinite(half)
    worth = size_reaching(sizes, base[None, :], fit.effects[[row]])
    drawn = size_reaching(sizes, base_draws, level.draws[:, row]) if known else np.full(1, np.nan)
    low, high = (interval_end(drawn, share) for share in (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    at = float(worth[0])
    return TargetPoint(
        size=level.size,
        score=float(fit.effects[row]),
        gain=gain,
        low=gain - half if known else None,
        high=gain + half if known else None,
        runs=int(fit.counts[row]),
        worth=at - level.size if np.isfinite(at) else None,
        worth_low=None if low is None else low - level.size,
        worth_high=None if high is None else high - level.size,
        range="within" if np.isfinite(at) else "above" if at > 0 else "below",
    )


def _crossing(mine: Sequence[tuple[_Level, int]]) -> Crossing:
    sizes = np.array([level.size for level, _ in mine])
    gains = np.array([level.fit.effects[row] - level.fit.effects[0] for level, row in mine])
    drawn = np.stack([level.draws[:, row] - level.draws[:, 0] for level, row in mine], axis=1)
    at = falling_zero(sizes, gains[None, :])[0]
    if np.isnan(drawn).any():
        return Crossing(float(at) if np.isfinite(at) else None, None, None, None)
    every = falling_zero(sizes, drawn)
    low, high = (interval_end(every, share) for share in (0.5 - LEVEL / 2, 0.5 + LEVEL / 2))
    return Crossing(float(at) if np.isfinite(at) else None, low, high, float(np.isfinite(every).mean()))


def _stops(points: Sequence[TargetPoint]) -> float | None:
    """The smallest size from which on the gain is not told apart from zero, or below it."""
    helps = [point.low is not None and point.low > 0.0 for point in points]
    if not any(helps) or helps[-1] or points[-1].low is None:
        return None
    return points[max(i for i, yes in enumerate(helps) if yes) + 1].size


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
    return f"{text} {_crossing_words(curve.crossing)}"


def _crossing_words(found: Crossing) -> str:
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


def plot_target_size(curves: Sequence[TargetCurve], unit: str, baseline: str, path: Path) -> None:
    """For each target scores and gains against size, a line an arm."""
    targets = list(dict.fromkeys(c.target for c in curves))
    figure, axes = panels(2 * len(targets), width=3.8, height=3.0, columns=2)
    for index, target in enumerate(targets):
        scores, gains = axes[2 * index : 2 * index + 2]
        mine = [c for c in curves if c.target == target]
        base = {p.size: 100 * (p.score - p.gain) for c in mine for p in c.points}
        scores.plot(sorted(base), [base[size] for size in sorted(base)], label=baseline, **style(0))
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
        for axis, what in ((scores, f"{mine[0].metric} x 100"), (gains, f"gain over {baseline} x 100")):
            axis.set_xscale("log")
            axis.set_title(target, fontsize=9)
            axis.set_xlabel(f"target data, {unit}", fontsize=8)
            axis.set_ylabel(what, fontsize=8)
            axis.legend(fontsize=7)
    save(figure, path, target_rows(curves, unit))
