"""Small charts side by side on the same axes, one a line's name: no legend, no colours to tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raystilts.report.html.axes import Scale
from raystilts.report.html.formats import MINUS
from raystilts.report.html.markup import Markup, tag

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


def axes(
    x: tuple[float, float],
    y: tuple[float, float],
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
) -> Axes:
    """Axes of one panel's size."""
    return Axes(Scale(*x, LEFT, WIDTH - RIGHT), Scale(*y, HEIGHT - BOTTOM, TOP), x_ticks, y_ticks)


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
