"""The transfer matrix as a heatmap, readable by colour-blind people and in grey."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from raystilts.errors import UserError
from raystilts.report.matrix import TITLES, Matrix, cell_text, certain

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


def plot_matrix(matrix: Matrix, path: Path) -> None:
    """Writes a heatmap. Lightness alone carries the value (cividis), and the number stands in each cell.

    A gain whose 95 % interval excludes zero is bold; one that is not told apart from zero is hatched.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    values = np.array(
        [[_shown(matrix, r, c) for c in range(len(matrix.targets))] for r in range(len(matrix.arms))], dtype=float
    ).reshape(len(matrix.arms), len(matrix.targets))
    height, width = values.shape
    figure, axes = plt.subplots(figsize=(3.2 + 1.15 * width, 1.8 + 0.42 * height), layout="constrained")
    low, high = _limits(values)
    image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(width), matrix.targets, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(height), matrix.arms)
    for row in range(height):
        for column in range(width):
            _draw_cell(axes, matrix, row, column, (values[row, column] - low) / (high - low))
    title = TITLES[matrix.value] + (f", {matrix.language}" if matrix.language else "")
    legend = "bold: the interval excludes 0; hatched: it does not" if matrix.value == "gain" else ""
    axes.set_title("\n".join([title, legend]).strip(), fontsize=9, loc="left")
    figure.colorbar(image, ax=axes, shrink=0.8)
    save_figure(figure, path)


def _shown(matrix: Matrix, row: int, column: int) -> float:
    number = matrix.number(row, column)
    return float("nan") if number is None else number * (1.0 if matrix.value == "p_best" else 100.0)


def _limits(values: Any) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_cell(axes: Any, matrix: Matrix, row: int, column: int, lightness: float) -> None:
    """The number, and the hatching of a gain that may be zero."""
    from matplotlib.patches import Rectangle

    arm = matrix.cells[row][column]
    dark = lightness < 0.5  # false for a cell without a value, which is white
    sure = arm is not None and (matrix.value != "gain" or certain(arm))
    if not sure and np.isfinite(lightness):
        edge = "#8c8c8c" if dark else "#6e6e6e"
        box = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="////", edgecolor=edge, linewidth=0)
        axes.add_patch(box)
    text = axes.text(
        column, row, cell_text(matrix, row, column).replace("*", ""), ha="center", va="center", fontsize=8,
        color="white" if dark else "black", fontweight="bold" if sure and matrix.value == "gain" else "normal",
    )  # fmt: skip
    if not sure and np.isfinite(lightness):
        back = axes.images[0].cmap(lightness)
        text.set_bbox({"facecolor": back, "edgecolor": "none", "pad": 1.0})
