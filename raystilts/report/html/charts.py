"""Small charts side by side on the same axes, one a line's name: no legend, no colours to tell apart.

Learning curves of one target over training, stopped runs marked; gains over the size of the intermediate's data, and of
the target's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from raystilts.analysis.presentation import listed
from raystilts.report.html.markup import MINUS, Markup, count, interval, join, part, points, score, share, tag
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names
from raystilts.results.reader import json_column


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to places on a drawing.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, held inside the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def spread(values: Iterable[float], *, pad: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Bounds around values, at least `least` apart, with a margin of `pad` of their distance."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    short = max(0.0, least - (high - low)) / 2
    margin = pad * (high - low + 2 * short)
    return low - short - margin, high + short + margin


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """At most `most` round numbers between two bounds, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [step * k for k in range(first, last + 1)]
    raise AssertionError("twenty times the power is more than the range")


WIDTH, HEIGHT = 200.0, 128.0
LEFT, RIGHT, TOP, BOTTOM = 32.0, 10.0, 8.0, 20.0


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes that all panels of a figure share.

    Attributes:
        x: From data to places.
        y: Likewise, upwards.
        x_ticks: Values and labels.
        y_ticks: Values and labels.
    """

    x: Scale
    y: Scale
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]

    @classmethod
    def of(
        cls, x: tuple[float, float], y: tuple[float, float], x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
    ) -> Axes:  # fmt: skip
        """Axes of one panel's size."""
        return cls(Scale(*x, LEFT, WIDTH - RIGHT), Scale(*y, HEIGHT - BOTTOM, TOP), x_ticks, y_ticks)


def panel(axes: Axes, name: str, description: str, content: Sequence[Markup], note: str = "") -> Markup:
    """One chart with its name above and what it shows in words for those who do not see it."""
    drawing = tag(
        "svg", tag("title", name), tag("desc", description), _frame(axes), content,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img",
    )  # fmt: skip
    caption = tag("figcaption", tag("b", name), tag("small", note) if note else None)
    return tag("figure", caption, drawing)


def path(axes: Axes, points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points in data values."""
    places = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in points)
    return tag("polyline", points=places, class_=kind)


def bar(axes: Axes, x: float, low: float, high: float) -> Markup:
    """A vertical interval."""
    return tag("line", x1=axes.x(x), x2=axes.x(x), y1=axes.y(low), y2=axes.y(high), class_="interval")


def dot(axes: Axes, x: float, y: float, kind: str) -> Markup:
    """A point."""
    return tag("circle", cx=axes.x(x), cy=axes.y(y), r=3, class_=kind)


def cross(axes: Axes, x: float, y: float) -> Markup:
    """Where a run was stopped."""
    left, top = axes.x(x), axes.y(y)
    return tag("path", d=f"M{left - 4:.1f},{top - 4:.1f}l8,8m0,-8l-8,8", class_="stop")


def _frame(axes: Axes) -> list[Markup]:
    """Grid lines with labels on the left, labels below."""
    parts = []
    for value, label in axes.y_ticks:
        y = axes.y(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", label, x=LEFT - 5, y=y + 3.5, text_anchor="end"))
    for value, label in axes.x_ticks:
        parts.append(tag("text", label, x=axes.x(value), y=HEIGHT - 5, text_anchor="middle"))
    return parts


def tick_label(value: float) -> str:
    """A score or gain from 0 to 1 in points, as short as it can be."""
    return f"{100 * value:.4g}".replace("-", MINUS)


Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """One run.

    Attributes:
        points: Share of the full training (0 to 1), and main dev score (0 to 1), by rising share.
        stopped_at: The share at which it was stopped; None if it was not.
    """

    points: Points
    stopped_at: float | None


def curves_figure(frame: pd.DataFrame, answer: TargetAnswer) -> Markup | None:
    """A chart an arm; None where no run was evaluated twice.

    Args:
        frame: `gather.dev_points`.
        answer: The target.
    """
    found = target_curves(frame, answer)
    if not any(len(curve.points) > 1 for runs in found.values() for curve in runs):
        return None
    names = arm_names(answer.arms)
    baseline = next((average(found[i]) for i in found if answer.arms[i].intermediate == "none"), [])
    values = [y for runs in found.values() for curve in runs for _, y in curve.points]
    low, high = spread(values, least=0.05)
    y_ticks = [(value, tick_label(value)) for value in ticks(low, high, 4)]
    axes = Axes.of((0.0, 1.0), (low, high), [(0.0, "0"), (0.5, "1/2"), (1.0, "1")], y_ticks)
    charts = [_chart(axes, names[i], runs, baseline if answer.arms[i].intermediate != "none" else [])
              for i, runs in found.items()]  # fmt: skip
    dashed = f", dashed: {answer.baseline}" if baseline else ""
    where = listed(sorted(_rows(frame, answer)["language"].unique()))
    said = (
        f"{answer.metric} × 100 on dev ({where}) over the share of training. Thin: single runs, thick: their "
        f"mean{dashed}. ×: stopped early."
    )
    return tag("div", tag("h4", "Learning curves"), tag("p", said), tag("div", charts, class_="panels"))


def target_curves(frame: pd.DataFrame, answer: TargetAnswer) -> dict[int, list[Curve]]:
    """The runs of every arm of a target, by the arm's place in the answer; arms without any are left out."""
    rows = _rows(frame, answer)
    found: dict[int, list[Curve]] = {}
    for _, run in rows.groupby("stage", sort=True):
        first = run.iloc[0]
        place = _place(answer.arms, first)
        if place is not None:
            means = run.groupby("share")["value"].mean()
            points = [
                (share, value)
                for share, value in zip(means.index.tolist(), means.tolist(), strict=True)
                if value == value
            ]
            stopped = first["status"] != "finished"
            ended = float(first["rung"]) if stopped and pd.notna(first["rung"]) else points[-1][0] if points else 0.0
            found.setdefault(place, []).append(Curve(points, ended if stopped else None))
    return dict(sorted(found.items()))


def average(curves: Sequence[Curve]) -> Points:
    """The mean over runs, wherever all of them were evaluated."""
    shares = [{share for share, _ in curve.points} for curve in curves]
    common = sorted(set.intersection(*shares)) if shares else []
    values = [dict(curve.points) for curve in curves]
    return [(share, sum(one[share] for one in values) / len(values)) for share in common]


def _rows(frame: pd.DataFrame, answer: TargetAnswer) -> pd.DataFrame:
    """Main dev scores of a target's runs, in the languages that each of their evaluations has."""
    part = frame["target_fraction"]
    same = part.isna() if answer.target_fraction is None else part == answer.target_fraction
    chosen = frame[(frame["target"] == answer.target) & same & (frame["metric"] == answer.metric)]
    if not len(chosen):
        return chosen
    evaluations = chosen.groupby("language")["stage"].count()
    times = chosen[["stage", "step", "is_final"]].drop_duplicates()
    everywhere = evaluations[evaluations == len(times)].index
    languages = everywhere if len(everywhere) else evaluations[evaluations == evaluations.max()].index
    return chosen[chosen["language"].isin(languages)]


def _place(arms: tuple[ArmAnswer, ...], row: pd.Series) -> int | None:
    """Which arm a run belongs to."""
    fraction = None if pd.isna(row["intermediate_fraction"]) else float(row["intermediate_fraction"])
    key = (row["intermediate"], fraction)
    same = [i for i, arm in enumerate(arms) if (arm.intermediate, arm.intermediate_fraction) == key]
    if len(same) < 2:
        return same[0] if same else None
    settings = json_column(row["hyperparameters"], dict)
    return next((i for i in same if arms[i].hyperparameters == settings), None)


def _chart(axes: Axes, name: str, runs: list[Curve], baseline: Points) -> Markup:
    content = [path(axes, baseline, "base")] if baseline else []
    content += [path(axes, run.points, "run") for run in runs if run.points]
    finished = [run for run in runs if run.stopped_at is None]
    mean = average(finished)
    if mean:
        content.append(path(axes, mean, "mean"))
        content.append(dot(axes, *mean[-1], "sure"))
    stops = [run for run in runs if run.stopped_at is not None]
    content += [cross(axes, *run.points[-1]) for run in stops if run.points]
    return panel(axes, name, _words(runs, mean), content, _stopped(stops, len(runs)))


def _stopped(stops: list[Curve], runs: int) -> str:
    """How many runs were stopped, and where; empty if none was."""
    if not stops:
        return ""
    places = list(dict.fromkeys(part(run.stopped_at) for run in sorted(stops, key=lambda r: r.stopped_at or 0.0)
                                if run.stopped_at is not None))  # fmt: skip
    return f"{len(stops)} of {count(runs, 'run')} stopped at {listed(places)}"


def _words(runs: list[Curve], mean: Points) -> str:
    """The chart for those who do not see it."""
    finished = f"{count(len(runs), 'run')}. "
    if mean:
        finished += f"Mean dev score {score(mean[0][1])} at {part(mean[0][0])} of training, {score(mean[-1][1])} last. "
    return finished + _stopped([run for run in runs if run.stopped_at is not None], len(runs))


@dataclass(frozen=True, slots=True)
class Series:
    """One intermediate (or arm) along data sizes.

    Attributes:
        arms: Share of the data to the arm there, by rising share; each has a gain.
    """

    name: str
    arms: dict[float, ArmAnswer]


def scaling_figures(answers: Sequence[TargetAnswer], answer: TargetAnswer) -> Markup | None:
    """Charts of gains over sizes; None where there is only one size.

    Args:
        answers: All targets, where the other sizes of this target's data are.
        answer: The target.
    """
    by_intermediate = intermediate_sizes(answer)
    siblings = [other for other in answers if other.target == answer.target]
    largest = max((other.target_fraction or 1.0 for other in siblings), default=1.0)
    by_target = target_sizes(siblings) if (answer.target_fraction or 1.0) == largest else []
    found = [_figure("the intermediate’s data", by_intermediate), _figure("the target’s data", by_target)]
    return join(found) if any(found) else None


def intermediate_sizes(answer: TargetAnswer) -> list[Series]:
    """Gains of each intermediate that has several fractions."""
    found: dict[str, dict[float, ArmAnswer]] = {}
    for arm in answer.arms:
        if arm.gain is not None and arm.intermediate_fraction is not None:
            found.setdefault(arm.intermediate, {}).setdefault(arm.intermediate_fraction, arm)
    return _several(found)


def target_sizes(siblings: Sequence[TargetAnswer]) -> list[Series]:
    """Gains of each competing arm in the same target at several fractions."""
    found: dict[str, dict[float, ArmAnswer]] = {}
    for answer in siblings:
        for arm in answer.arms:
            if arm.gain is not None and answer.target_fraction is not None and (arm.competes or arm.overlap):
                name = arm.label
                found.setdefault(name, {}).setdefault(answer.target_fraction, arm)
    return _several(found)


def _several(found: dict[str, dict[float, ArmAnswer]]) -> list[Series]:
    return [Series(name, dict(sorted(arms.items()))) for name, arms in sorted(found.items()) if len(arms) > 1]


def _figure(what: str, series: list[Series]) -> Markup | None:
    if not series:
        return None
    shares = sorted({size for one in series for size in one.arms})
    arms = [arm for one in series for arm in one.arms.values()]
    ends = [value for arm in arms for value in (arm.gain, arm.gain_low, arm.gain_high) if value is not None]
    low, high = spread([0.0, *ends])
    edge = 0.08 * math.log(shares[-1] / shares[0])
    x = (math.log(shares[0]) - edge, math.log(shares[-1]) + edge)
    axes = Axes.of(x, (low, high), _size_ticks(shares), [(v, tick_label(v)) for v in ticks(low, high)])
    charts = [_scaling_chart(axes, one) for one in series]
    base = next((arm.baseline for arm in arms), "none")
    said = f"Gain over {base} in points, with its 95 % interval, over the share of {what} (each size doubles alike)."
    return tag("div", tag("h4", f"Size of {what}"), tag("p", said), tag("div", charts, class_="panels"))


def _size_ticks(shares: list[float]) -> list[tuple[float, str]]:
    """Labels of sizes, left out where they would run into the one before; the largest always stands."""
    whole = math.log(shares[-1] / shares[0])
    kept = [shares[-1]]
    for size in reversed(shares[:-1]):
        if math.log(kept[-1] / size) / whole > 0.22:
            kept.append(size)
    return [(math.log(size), f"{100 * size:.3g}%") for size in kept]


def _scaling_chart(axes: Axes, one: Series) -> Markup:
    line = [(math.log(size), arm.gain) for size, arm in one.arms.items() if arm.gain is not None]
    content = [path(axes, [(axes.x.low, 0.0), (axes.x.high, 0.0)], "base")]
    for size, arm in one.arms.items():
        if arm.gain_low is not None and arm.gain_high is not None:
            content.append(bar(axes, math.log(size), arm.gain_low, arm.gain_high))
    content.append(path(axes, line, "mean"))
    content += [dot(axes, x, y, "sure") for x, y in line]
    words = [
        f"{share(size)}: {points(arm.gain)}"
        + (f" ({interval(arm.gain_low, arm.gain_high)})" if arm.gain_low is not None else "")
        for size, arm in one.arms.items()
    ]
    return panel(axes, one.name, f"Gain by size. {'; '.join(words)}.", content)
