"""How the analyses show what they found: text in 80 columns, rows for CSV and JSON, figures with their data.

Series of a figure are told apart by marker and line, not by colour.
"""

from __future__ import annotations

import csv
import json
import math
import re
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raystilts.errors import UserError

if TYPE_CHECKING:
    from raystilts.analysis.curves import Estimate


#: Columns of a terminal that nobody has widened.
WIDTH = 80


def wrap(text: str, indent: str = "") -> list[str]:
    """A sentence in lines of at most 80 columns, in which a longer word, such as a path, stays whole."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def listed(names: Sequence[str], word: str = "and") -> str:
    """Names in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else f" {word} ".join([", ".join(names[:-1]), names[-1]]) if names else ""


def count(number: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


Row = dict[str, Any]

#: Characters that a terminal obeys instead of showing them, and those that turn the direction of the text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Text that a terminal shows as it is: names in tables from elsewhere may hold anything."""
    return _CONTROL.sub("?", text)


def csv_text(text: str) -> str:
    """Text as a cell that no spreadsheet takes for a formula."""
    return printable(f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text)


def points(value: float | None, width: int = 0) -> str:
    """A share as signed points: 0.012 is `+1.2`; `-` where it is not known."""
    text = "-" if value is None or not math.isfinite(value) else f"{100 * value:+.1f}"
    return f"{text:>{width}}"


def bounds(low: float | None, high: float | None) -> str:
    """An interval of a share in points; empty where it is not known. No gain of scores is beyond 100."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{_end(low)}, {_end(high)}]"


def _end(value: float) -> str:
    return f"{100 * value:+.1f}" if abs(value) < 1 else f"{math.copysign(100, value):+.0f}"


def number(value: float) -> str:
    """A size as people read it: 12,000 examples or a share of 0.25."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.3g}"


def p_text(p: float | None) -> str:
    """A p-value; empty where there is none."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def spread(name: str, estimate: Estimate | None) -> Row:
    """The three columns of an estimate."""
    if estimate is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def write_csv(rows: Sequence[Row], path: Path, option: str = "--csv") -> None:
    """Writes rows that share their keys; numbers that are not known are empty.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror}); give another file") from None


def to_json(answer: Any) -> str:
    """JSON; numbers that are not known are null."""
    return json.dumps(_plain(answer), indent=1)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.8g}" if math.isfinite(value) else ""
    return csv_text(value) if isinstance(value, str) else "" if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_FORMATS = (".png", ".pdf", ".svg")


def check_plot(path: Path) -> None:
    """Finds out before the results are read whether a plot can be written.

    Raises:
        UserError: matplotlib is missing, or the file cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib; install it with the extra: pip install 'raystilts[plot]'")
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"--plot {path}: the name must end in {', '.join(_FORMATS)}, such as matrix.png")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--plot {path}: there is no folder {path.absolute().parent}; make it first")


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


def pyplot() -> Any:
    """matplotlib for files, without a screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def panels(number: int, width: float = 3.4, height: float = 2.6, columns: int = 3) -> tuple[Any, list[Any]]:
    """A figure with so many axes in a grid."""
    plt = pyplot()
    across = min(columns, max(1, number))
    down = -(-max(1, number) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(0.4 + width * across, 0.5 + height * down), layout="constrained", squeeze=False
    )
    flat = list(axes.ravel())
    for spare in flat[number:]:
        spare.set_visible(False)
    return figure, flat[:number]


def spread_labels(heights: Sequence[float], gap: float) -> list[float]:
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
    for (x, y, name), height in zip(points, spread_labels(up, gap), strict=True):
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


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure, and lets go of it.

    Raises:
        UserError: The file cannot be written.
    """
    from matplotlib import pyplot as plt

    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise UserError(f"--plot {path}: cannot be written ({error.strerror}); give another file") from None
    finally:
        plt.close(figure)
