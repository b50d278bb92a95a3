"""Answers as text for a terminal of 80 columns and more."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raystilts.report.answers import ArmAnswer, TargetAnswer, arm_label


def best_table(answer: TargetAnswer) -> Group:
    """One stratum: what follows in words, its arms, and what must be told."""
    share = answer.target_fraction or 1.0
    part = "" if share == 1.0 else f", {100 * share:g}% of its training data"
    where = answer.language or f"mean of {len(answer.languages)}: {' '.join(answer.languages)}"
    title = Text.assemble((answer.target, "bold"), f"  {answer.metric} x 100 on test, {where}{part}")
    table = Table(box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", max_width=24)
    for name in ("mean", "gain", "95 % interval", "P(best)", "seeds", ""):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    for arm in answer.arms:
        table.add_row(*_cells(arm))
    lines: list[RenderableType] = [title, table, Text("  " + verdict(answer), style="green")]
    lines += [Text(f"  note: {note}", style="dim") for note in answer.notes]
    return Group(*lines, Text(""))


def _cells(arm: ArmAnswer) -> list[str]:
    marks = ["best set"] if arm.in_best_set else []
    marks += ["overlap"] if arm.overlap else []
    marks += [f"{count} {word}" for count, word in
              ((arm.stopped, "stopped"), (arm.failed, "failed"), (arm.degenerate, "degenerate")) if count]  # fmt: skip
    return [
        arm_label(arm.intermediate, arm.intermediate_fraction),
        "-" if arm.mean is None else f"{100 * arm.mean:.1f}",
        "" if arm.gain is None else f"{100 * arm.gain:+.1f}",
        interval(arm),
        "" if arm.p_best is None or not arm.competes else f"{arm.p_best:.2f}",
        str(arm.seeds),
        ", ".join(marks),
    ]


def interval(arm: ArmAnswer) -> str:
    """The 95 % interval of a gain in points."""
    if arm.gain_low is None or arm.gain_high is None:
        return ""
    return f"[{100 * arm.gain_low:+.1f}, {100 * arm.gain_high:+.1f}]"


def verdict(answer: TargetAnswer) -> str:
    """What follows, in words."""
    if not answer.best:
        return "No arm can be called best yet: run more seeds."
    seeds = max((arm.seeds for arm in answer.arms if arm.in_best_set), default=0)
    if len(answer.best) == 1:
        return f"{answer.best[0]} is best."
    names = " or ".join([", ".join(answer.best[:-1]), answer.best[-1]])
    return f"{names}: not told apart with {seeds} seed{'s' if seeds != 1 else ''}."


def gain_matrix(answers: list[TargetAnswer]) -> Group:
    """The transfer matrix of gains in points: an arm a row, a target a column."""
    table = Table(box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", max_width=22)
    cells: dict[str, dict[int, str]] = {}
    for column, answer in enumerate(answers):
        part = "" if answer.target_fraction in (None, 1.0) else f" {100 * (answer.target_fraction or 1):g}%"
        table.add_column(f"{answer.target}{part}", justify="right", overflow="fold")
        for arm in sorted(answer.arms, key=lambda a: (a.intermediate, a.intermediate_fraction or 0)):
            if arm.gain is not None:
                name = arm_label(arm.intermediate, arm.intermediate_fraction)
                cells.setdefault(name, {})[column] = _gain(arm)
    for name, row in cells.items():
        table.add_row(name, *(row.get(column, "-") for column in range(len(answers))))
    return Group(Text("gain over none in points, with half the width of its 95 % interval"), table)


def _gain(arm: ArmAnswer) -> str:
    """A gain with its half width; a star where the interval excludes zero, brackets where the data overlap."""
    assert arm.gain is not None
    if arm.gain_low is None or arm.gain_high is None:
        return f"({100 * arm.gain:+.1f})" if arm.overlap else f"{100 * arm.gain:+.1f}"
    star = "*" if arm.gain_low > 0 or arm.gain_high < 0 else " "
    text = f"{100 * arm.gain:+.1f}±{50 * (arm.gain_high - arm.gain_low):.1f}{star}"
    return f"({text.strip()})" if arm.overlap else text
