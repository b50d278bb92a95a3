"""The transfer matrix, an arm a row and a target a column: as text, as CSV, and as a heatmap.

The heatmap is readable by colour-blind people and in grey.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from raystilts.analysis.presentation import WIDTH, csv_text, pyplot, save_figure, wrap
from raystilts.report.text import ONE_SEED, choosing
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names

Value = Literal["gain", "score", "p_best"]
#: Characters of an arm's name beside numbers; longer ones are given below.
LONGEST = 36
#: What is said of targets that are not learnt.
NOT_LEARNT = "not learnt at this size, so no arm is better than another"
#: What stands in the cells, for a title.
TITLES: dict[Value, str] = {
    "gain": "gain over {baseline} in points",
    "score": "mean score x 100",
    "p_best": "probability of being best",
}


@dataclass(frozen=True, slots=True)
class Matrix:
    """The values of arms in targets.

    Attributes:
        arms: Names of the rows, the baseline first.
        targets: Names of the columns.
        cells: ``[row][column]``: the arm's answer there, None where it was not run.
        not_learnt: Targets that are not learnt, which have no gains.
        baseline: What the arm `none` is called.
        no_gains: Why there is no gain on any target, and what to do.
    """

    value: Value
    language: str | None
    arms: tuple[str, ...]
    targets: tuple[str, ...]
    cells: tuple[tuple[ArmAnswer | None, ...], ...]
    not_learnt: tuple[str, ...] = ()
    baseline: str = "none"
    no_gains: str = ""

    @property
    def title(self) -> str:
        """What stands in the cells."""
        title = TITLES[self.value].format(baseline=self.baseline)
        if self.has_intervals:
            title += ", with half the width of its 95 % interval"
        return f"{title}, {self.language}" if self.language else title

    @property
    def has_intervals(self) -> bool:
        """Whether a gain has an interval; none has where no arm has a second seed."""
        return self.value == "gain" and any(arm and arm.gain_low is not None for row in self.cells for arm in row)

    def number(self, row: int, column: int) -> float | None:
        """The value of a cell: a score or gain as a share (0.01 is a point), or a probability; None if unknown."""
        arm = self.cells[row][column]
        if arm is None:
            return None
        return {"gain": arm.gain, "score": arm.mean, "p_best": arm.p_best if arm.competes else None}[self.value]


def transfer_matrix(answers: Sequence[TargetAnswer], value: Value) -> Matrix:
    """Arranges the answers of several targets."""
    found: dict[str, dict[int, ArmAnswer]] = {}
    for column, answer in enumerate(answers):
        for name, arm in zip(arm_names(answer.arms), answer.arms, strict=True):
            found.setdefault(name, {})[column] = arm
    baseline = answers[0].baseline if answers else "none"
    if value == "gain":
        found.pop(baseline, None)
    names = sorted(found, key=lambda name: (name != baseline, _order(found[name])))
    return Matrix(
        value=value,
        language=answers[0].language if answers else None,
        arms=tuple(names),
        targets=tuple(answer.label for answer in answers),
        cells=tuple(tuple(found[name].get(column) for column in range(len(answers))) for name in names),
        not_learnt=tuple(a.label for a in answers if not a.learnt),
        baseline=baseline,
        no_gains="" if has_baseline(answers) else answers[0].no_gains,
    )


def _order(arms: dict[int, ArmAnswer]) -> tuple[str, float]:
    first = next(iter(arms.values()))
    return first.intermediate, first.intermediate_fraction or 0.0


def cell_text(matrix: Matrix, row: int, column: int) -> str:
    """A cell as people read it; `(...)` where the arm trains on the target's own training data."""
    arm, number = matrix.cells[row][column], matrix.number(row, column)
    if arm is None:
        return ""
    if number is None:
        return "stopped" if arm.stopped and not arm.seeds else "failed" if arm.failed and not arm.seeds else "-"
    if matrix.value == "p_best":
        return f"{number:.2f}"
    text = f"{100 * number:.1f}"
    if matrix.value == "gain":
        text = f"{100 * number:+.1f}"
        if arm.gain_low is not None and arm.gain_high is not None:
            text += f"±{50 * (arm.gain_high - arm.gain_low):.1f}" + ("*" if arm.certain else "")
    return f"({text})" if arm.overlap else text


def matrix_text(matrix: Matrix) -> str:
    """The matrix in 80 columns: as many targets beside each other as fit, the others below."""
    texts = [
        [cell_text(matrix, row, column) for column in range(len(matrix.targets))] for row in range(len(matrix.arms))
    ]
    names, legend = short_names(matrix.arms)
    first = max((len(name) for name in names), default=3)
    widths = [max([len(name), *(len(row[column]) for row in texts)]) for column, name in enumerate(matrix.targets)]
    lines = [matrix.title]
    start = 0
    while start < len(widths):
        end, used = start + 1, first + 2 + widths[start]
        while end < len(widths) and used + 2 + widths[end] <= WIDTH:
            used += 2 + widths[end]
            end += 1
        block = range(start, end)
        lines.append(f"{'arm':<{first}}" + "".join(f"  {matrix.targets[c]:>{widths[c]}}" for c in block))
        for name, row in zip(names, texts, strict=True):
            lines.append((f"{name:<{first}}" + "".join(f"  {row[c]:>{widths[c]}}" for c in block)).rstrip())
        lines.append("")
        start = end
    for line in legend:
        lines += wrap(line)
    fewer = _fewer_runs(matrix)
    if fewer:
        more = f" and {len(fewer) - 3} more" if len(fewer) > 3 else ""
        lines += wrap(f"fewer runs, for the others failed or are degenerate: {', '.join(fewer[:3])}{more}")
    if matrix.value == "gain":
        own = any(arm is not None and arm.overlap for row in matrix.cells for arm in row)
        overlap = "; (...) trains on the target's own training data" if own else ""
        apart = f"the interval excludes zero: told apart from {matrix.baseline}, not from the other arms"
        lines += wrap(f"* {apart}{overlap}" if matrix.has_intervals else f"{ONE_SEED}{overlap}")
        chooser = choosing(arm for row in matrix.cells for arm in row if arm is not None)
        if chooser:
            lines += wrap(f"gains are on test, the best arms are chosen by {chooser}, so that the two may disagree")
        if matrix.no_gains:
            lines += wrap(f"no gains: {matrix.no_gains}; --value score or p_best needs none")
    if matrix.not_learnt:
        lines += wrap(f"{NOT_LEARNT}: {', '.join(matrix.not_learnt)}")
    return "\n".join(lines).rstrip() + "\n"


def _fewer_runs(matrix: Matrix) -> list[str]:
    """Cells of which some runs are in no mean: `mnli on xnli (2 of 5)`."""
    found = []
    for name, row in zip(matrix.arms, matrix.cells, strict=True):
        for target, arm in zip(matrix.targets, row, strict=True):
            if arm is not None and arm.seeds and (left_out := arm.degenerate + arm.failed):
                found.append(f"{name} on {target} ({arm.seeds} of {arm.seeds + left_out})")
    return found


def gains_text(answers: Sequence[TargetAnswer]) -> str:
    """The matrix of gains as text; where there is no baseline, a line that says so and the matrix of scores."""
    if has_baseline(answers):
        return matrix_text(transfer_matrix(answers, "gain"))
    said = f"no gains: {answers[0].no_gains}; scores instead, or --value p_best"
    return "\n".join(wrap(said)) + "\n\n" + matrix_text(transfer_matrix(answers, "score"))


def has_baseline(answers: Sequence[TargetAnswer]) -> bool:
    """Whether some target has a score of the baseline; without one no arm has a gain."""
    return not answers or not all(answer.no_gains for answer in answers)


def short_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that leave room for numbers, and lines that give the long ones in full: `squad [a]`, `[a] squad (...)`."""
    shown: list[str] = []
    legend: list[str] = []
    for name in names:
        if len(name) > LONGEST:
            mark = f"[{_letters(len(legend))}]"
            legend.append(f"{mark} {name}")
            name = f"{name.partition(' (')[0][: LONGEST - len(mark) - 1]} {mark}"
        shown.append(name)
    return shown, legend


def _letters(number: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    return ("" if number < 26 else _letters(number // 26 - 1)) + chr(ord("a") + number % 26)


def matrix_csv(matrix: Matrix) -> str:
    """A row an arm; for gains each target has its bounds beside it. Scores and gains are shares: 0.01 is a point."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = ("", "_low", "_high") if matrix.value == "gain" else ("",)
    writer.writerow(["arm", *(csv_text(f"{target}{end}") for target in matrix.targets for end in ends)])
    for row, name in enumerate(matrix.arms):
        values: list[float | None] = []
        for column, arm in enumerate(matrix.cells[row]):
            values.append(matrix.number(row, column))
            if matrix.value == "gain":
                values += [None, None] if arm is None else [arm.gain_low, arm.gain_high]
        writer.writerow([csv_text(name), *("" if value is None else f"{value:.6g}" for value in values)])
    return out.getvalue()


def plot_matrix(matrix: Matrix, path: Path) -> None:
    """Writes a heatmap. Lightness alone carries the value (cividis), and the number stands in each cell.

    A gain whose 95 % interval excludes zero is bold; one that is not told apart from zero is hatched.
    """
    plt = pyplot()
    shape = len(matrix.arms), len(matrix.targets)
    values = np.array([matrix.number(r, c) for r in range(shape[0]) for c in range(shape[1])], dtype=float)
    values = values.reshape(shape) * (1.0 if matrix.value == "p_best" else 100.0)
    height, width = values.shape
    figure, axes = plt.subplots(figsize=(3.2 + 1.15 * width, 1.8 + 0.42 * height), layout="constrained")
    low, high = _limits(values)
    image = axes.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(width), matrix.targets, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(height), matrix.arms)
    for row in range(height):
        for column in range(width):
            _draw_cell(axes, matrix, row, column, (values[row, column] - low) / (high - low))
    legend = "bold: the interval excludes 0; hatched: it does not" if matrix.has_intervals else ""
    axes.set_title("\n".join([matrix.title, legend]).strip(), fontsize=9, loc="left")
    figure.colorbar(image, ax=axes, shrink=0.8)
    save_figure(figure, path)


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
    sure = arm is not None and (matrix.value != "gain" or arm.certain)
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
