"""All arms of one target: mean, gain with its interval drawn, P(best), regret, seeds."""

from __future__ import annotations

from raystilts.report.arms import ArmAnswer, TargetAnswer
from raystilts.report.html.axes import Scale, spread, ticks
from raystilts.report.html.formats import NOTHING, interval, part, points, probability, score
from raystilts.report.html.gather import arm_names
from raystilts.report.html.markup import Markup, breakable, join, tag
from raystilts.report.html.matrix import excludes_zero
from raystilts.report.html.panels import tick_label
from raystilts.report.html.tables import table

WIDTH, HEIGHT, EDGE = 240.0, 22.0, 14.0


def forest_table(answer: TargetAnswer) -> Markup:
    """One row an arm, best first; intervals share one axis."""
    named = list(zip(answer.arms, arm_names(answer.arms), strict=True))
    scale = _scale([arm for arm, _ in named])
    heads = ["arm", "mean", "gain", "95 % interval"] if scale else ["arm", "mean"]
    heads += ["P(best)", "regret", "seeds", "marks"]
    cells = [tag("th", head, scope="col", class_=None if head in ("arm", "marks") else "number") for head in heads]
    if scale:
        cells[4:4] = [tag("th", _axis(scale), class_="plot")]
    body = [_row(arm, name, scale) for arm, name in named]
    caption = f"Arms for {answer.target}: {answer.metric} × 100 on test, best first"
    return table(caption, tag("tr", cells), body, class_="forest")


def _scale(arms: list[ArmAnswer]) -> Scale | None:
    """The axis of gains; None where there are none."""
    ends = [value for arm in arms for value in (arm.gain, arm.gain_low, arm.gain_high) if value is not None]
    return Scale(*spread([0.0, *ends]), EDGE, WIDTH - EDGE) if ends else None


def _row(arm: ArmAnswer, name: str, scale: Scale | None) -> Markup:
    label: list[Markup] = [tag("b", "●", class_="best", title="not told apart from the best"), breakable(name)]
    label = label if arm.in_best_set else label[1:]
    cells = [tag("td", score(arm.mean), class_="number")]
    if scale:
        gain = "baseline" if arm.intermediate == "none" and arm.gain is None else points(arm.gain)
        cells.append(tag("td", gain, class_="number strong" if excludes_zero(arm) else "number"))
        cells.append(tag("td", interval(arm.gain_low, arm.gain_high), class_="number"))
        cells.append(tag("td", _drawing(arm, scale), class_="plot"))
    competing = arm.competes and arm.p_best is not None
    cells.append(
        tag("td", probability(arm.p_best), class_="prob number", style=f"--p:{100 * (arm.p_best or 0):.0f}%")
        if competing
        else tag("td", NOTHING, class_="number")
    )
    cells.append(tag("td", score(arm.expected_regret) if competing else NOTHING, class_="number"))
    cells.append(tag("td", arm.seeds, class_="number"))
    cells.append(tag("td", ", ".join(marks(arm)), class_="marks"))
    return tag("tr", tag("th", label, scope="row"), cells, class_=None if arm.competes else "aside")


def marks(arm: ArmAnswer) -> list[str]:
    """What else must be known of an arm, in words."""
    found = ["best set"] if arm.in_best_set else []
    found += ["overlap"] if arm.overlap else ["does not compete"] if not arm.competes else []
    counts = ((arm.stopped, "stopped"), (arm.failed, "failed"), (arm.degenerate, "degenerate"))
    told = [f"{number} {word}" for number, word in counts if number]
    if arm.stopped and arm.stopped_at is not None:
        told[0] += f" at {part(arm.stopped_at)}"
    return found + told


def _drawing(arm: ArmAnswer, scale: Scale) -> Markup:
    """A gain and its interval as a dot on a line; the numbers stand beside it."""
    middle = HEIGHT / 2
    parts = [_line(scale(0.0), 0.0, scale(0.0), HEIGHT, "zero")]
    if arm.gain is not None:
        kind = "sure" if excludes_zero(arm) else "open"
        if arm.gain_low is not None and arm.gain_high is not None:
            parts.append(_line(scale(arm.gain_low), middle, scale(arm.gain_high), middle, "interval"))
        parts.append(tag("circle", cx=scale(arm.gain), cy=middle, r=4, class_=kind))
    return _svg(parts, HEIGHT)


def _axis(scale: Scale) -> Markup:
    """Tick labels in points."""
    parts = [
        tag("text", f"{'+' * (value > 0)}{tick_label(value)}", x=scale(value), y=HEIGHT - 5, text_anchor="middle")
        for value in ticks(scale.low, scale.high, 4)
    ]
    return join(_svg(parts, HEIGHT), tag("span", "gain, drawn", class_="hidden"))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _svg(parts: list[Markup], height: float) -> Markup:
    return tag("svg", parts, viewBox=f"0 0 {WIDTH:g} {height:g}", class_="row", aria_hidden="true")
