"""How gains change with the size of the intermediate's data, and with the size of the target's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from raystilts.report.arms import ArmAnswer, TargetAnswer
from raystilts.report.html import panels
from raystilts.report.html.axes import spread, ticks
from raystilts.report.html.formats import interval, points, share
from raystilts.report.html.markup import Markup, join, tag


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
    axes = panels.axes(x, (low, high), _size_ticks(shares), [(v, panels.tick_label(v)) for v in ticks(low, high)])
    charts = [_chart(axes, one) for one in series]
    said = f"Gain over none in points, with its 95 % interval, over the share of {what} (each size doubles alike)."
    return tag("div", tag("h4", f"Size of {what}"), tag("p", said), tag("div", charts, class_="panels"))


def _size_ticks(shares: list[float]) -> list[tuple[float, str]]:
    """Labels of sizes, left out where they would run into the one before; the largest always stands."""
    whole = math.log(shares[-1] / shares[0])
    kept = [shares[-1]]
    for size in reversed(shares[:-1]):
        if math.log(kept[-1] / size) / whole > 0.22:
            kept.append(size)
    return [(math.log(size), f"{100 * size:.3g}%") for size in kept]


def _chart(axes: panels.Axes, one: Series) -> Markup:
    line = [(math.log(size), arm.gain) for size, arm in one.arms.items() if arm.gain is not None]
    content = [panels.path(axes, [(axes.x.low, 0.0), (axes.x.high, 0.0)], "base")]
    for size, arm in one.arms.items():
        if arm.gain_low is not None and arm.gain_high is not None:
            content.append(panels.bar(axes, math.log(size), arm.gain_low, arm.gain_high))
    content.append(panels.path(axes, line, "mean"))
    content += [panels.dot(axes, x, y, "sure") for x, y in line]
    words = [
        f"{share(size)}: {points(arm.gain)}"
        + (f" ({interval(arm.gain_low, arm.gain_high)})" if arm.gain_low is not None else "")
        for size, arm in one.arms.items()
    ]
    return panels.panel(axes, one.name, f"Gain by size. {'; '.join(words)}.", content)
