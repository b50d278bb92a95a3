"""What the figures of the analyses share: told apart by marker and line, not by colour; their data beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from raystilts.report.analysis.table_rows import Row, write_csv
from raystilts.report.plot import save_figure

#: Line, marker and grey of the series of a figure, in turn.
STYLES = (
    ("-", "o", "0.0"),
    ("--", "s", "0.35"),
    ("-.", "^", "0.15"),
    (":", "D", "0.45"),
    ((0, (5, 1)), "v", "0.25"),
    ((0, (1, 1)), "P", "0.5"),
    ((0, (3, 1, 1, 1)), "X", "0.1"),
)


def style(index: int) -> dict[str, Any]:
    """Arguments of `plot` and `errorbar` for a series."""
    line, marker, grey = STYLES[index % len(STYLES)]
    return {"linestyle": line, "marker": marker, "color": grey, "markersize": 4, "linewidth": 1.2}


def panels(number: int, width: float = 3.4, height: float = 2.6, columns: int = 3) -> tuple[Any, list[Any]]:
    """A figure with so many axes in a grid."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    across = min(columns, max(1, number))
    down = -(-max(1, number) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(0.4 + width * across, 0.5 + height * down), layout="constrained", squeeze=False
    )
    flat = list(axes.ravel())
    for spare in flat[number:]:
        spare.set_visible(False)
    return figure, flat[:number]


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart to at least `gap`, in their order, by as little as a pass up and a shift down make it."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + gap)
    lift = sum(moved[i] - heights[i] for i in order) / max(1, len(order))
    return [height - lift for height in moved]


def name_points(axis: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names of points in a column on their right, each with a thin line to its own: crowded points stay readable."""
    across, up = [x for x, _, _ in points], [y for _, y, _ in points]
    width = (max(across) - min(across)) or 1.0
    gap = ((max(up) - min(up)) or 1.0) / 14
    column = max(across) + 0.1 * width
    for (x, y, name), height in zip(points, spread(up, gap), strict=True):
        axis.plot([x, column], [y, height], color="0.7", linewidth=0.4, zorder=0)
        axis.text(column, height, f" {name}", fontsize=5, va="center")
    axis.set_xlim(min(across) - 0.08 * width, column + 0.5 * width)


def save(figure: Any, path: Path, rows: Sequence[Row]) -> None:
    """Writes the figure, and its data beside it as CSV.

    Raises:
        UserError: The file cannot be written.
    """
    save_figure(figure, path)
    write_csv(rows, path.with_suffix(".csv"), "--plot")
