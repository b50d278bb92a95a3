"""The transfer matrix for people and for programs: an arm a row, a target a column."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from raystilts.report.arms import ArmAnswer, TargetAnswer, arm_label, arm_names

Value = Literal["gain", "score", "p_best"]

#: What stands in the cells, for a title.
TITLES: dict[Value, str] = {
    "gain": "gain over none in points, with half the width of its 95 % interval",
    "score": "mean score x 100",
    "p_best": "probability of being best",
}
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Matrix:
    """The values of arms in targets.

    Attributes:
        arms: Names of the rows, `none` first.
        targets: Names of the columns.
        cells: ``[row][column]``: the arm's answer there, None where it was not run.
    """

    value: Value
    language: str | None
    arms: tuple[str, ...]
    targets: tuple[str, ...]
    cells: tuple[tuple[ArmAnswer | None, ...], ...]

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
    if value == "gain":
        found.pop("none", None)
    names = sorted(found, key=lambda name: (name != "none", _order(found[name])))
    return Matrix(
        value=value,
        language=answers[0].language if answers else None,
        arms=tuple(names),
        targets=tuple(arm_label(answer.target, answer.target_fraction) for answer in answers),
        cells=tuple(tuple(found[name].get(column) for column in range(len(answers))) for name in names),
    )


def _order(arms: dict[int, ArmAnswer]) -> tuple[str, float]:
    first = next(iter(arms.values()))
    return first.intermediate, first.intermediate_fraction or 0.0


def certain(arm: ArmAnswer) -> bool:
    """Whether the 95 % interval of the gain excludes zero."""
    return arm.gain_low is not None and arm.gain_high is not None and (arm.gain_low > 0 or arm.gain_high < 0)


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
            text += f"±{50 * (arm.gain_high - arm.gain_low):.1f}" + ("*" if certain(arm) else "")
    return f"({text})" if arm.overlap else text


def matrix_text(matrix: Matrix) -> str:
    """The matrix in 80 columns: as many targets beside each other as fit, the others below."""
    texts = [
        [cell_text(matrix, row, column) for column in range(len(matrix.targets))] for row in range(len(matrix.arms))
    ]
    first = max((len(name) for name in matrix.arms), default=3)
    widths = [max([len(name), *(len(row[column]) for row in texts)]) for column, name in enumerate(matrix.targets)]
    lines = [TITLES[matrix.value] + (f", {matrix.language}" if matrix.language else "")]
    start = 0
    while start < len(widths):
        end, used = start + 1, first + 2 + widths[start]
        while end < len(widths) and used + 2 + widths[end] <= _WIDTH:
            used += 2 + widths[end]
            end += 1
        block = range(start, end)
        lines.append(f"{'arm':<{first}}" + "".join(f"  {matrix.targets[c]:>{widths[c]}}" for c in block))
        for name, row in zip(matrix.arms, texts, strict=True):
            lines.append((f"{name:<{first}}" + "".join(f"  {row[c]:>{widths[c]}}" for c in block)).rstrip())
        lines.append("")
        start = end
    if matrix.value == "gain":
        lines.append("* the interval excludes zero; (...) trains on the target's own training data")
        if all(matrix.number(r, c) is None for r in range(len(matrix.arms)) for c in range(len(matrix.targets))):
            lines.append("no gains: none has no finished run (--value score or p_best needs none)")
    return "\n".join(lines).rstrip() + "\n"


def matrix_csv(matrix: Matrix) -> str:
    """A row an arm; for gains each target has its bounds beside it. Scores and gains are shares: 0.01 is a point."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    ends = ("", "_low", "_high") if matrix.value == "gain" else ("",)
    writer.writerow(["arm", *(f"{target}{end}" for target in matrix.targets for end in ends)])
    for row, name in enumerate(matrix.arms):
        values: list[float | None] = []
        for column, arm in enumerate(matrix.cells[row]):
            values.append(matrix.number(row, column))
            if matrix.value == "gain":
                values += [None, None] if arm is None else [arm.gain_low, arm.gain_high]
        writer.writerow([name, *("" if value is None else f"{value:.6g}" for value in values)])
    return out.getvalue()
