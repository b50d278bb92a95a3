"""A suite's answer as text for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from raystilts.ranking.contrasts import Difference
from raystilts.report.suites import Choice, SuiteAnswer, SuiteRow, SuiteTable


def suite_view(answer: SuiteAnswer) -> Group:
    """What is there, the scores over the suite's languages, over the fixed set, and the best per target."""
    parts: list[RenderableType] = [Text(f"{answer.title}, scores x 100 on test", style="bold")]
    parts += _completeness(answer.own)
    parts += [Text(""), Text("mean over each target's own languages"), _scores(answer.own)]
    if answer.fixed is not None:
        parts += [Text(""), Text(f"mean over one set of languages: {' '.join(answer.fixed.asked)}")]
        parts += [Text(f"  without {line}") for line in _missing(answer.fixed)]
        parts.append(_scores(answer.fixed) if answer.fixed.rows else Text("  no target has any of these"))
    parts += [Text(""), Text("the best arm per target, against none"), _choices(answer.own.choices)]
    parts += [Text(f"note: {note}", style="dim") for note in answer.notes]
    return Group(*parts)


def _completeness(table: SuiteTable) -> list[Text]:
    there, number = len(table.languages), len(table.languages) + len(table.missing)
    if table.complete:
        return [Text(f"complete: all {number} targets in all their languages", style="green")]
    lines = [f"INCOMPLETE: {there} of {number} targets; every average is over what is there, not the suite's score"]
    lines += [f"  without {line}" for line in _missing(table)]
    for target, languages in table.missing_languages.items():
        used = len(table.languages[target])
        lines.append(f"  {target}: {used} of {used + len(languages)} languages, without {' '.join(languages)}")
    lines += [f"  {row.arm}: without {', '.join(row.lacks)}" for row in table.rows if row.lacks]
    return [Text(line, style="yellow") for line in lines]


def _missing(table: SuiteTable) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for target, reason in table.missing.items():
        reasons.setdefault(reason, []).append(target)
    return [f"{', '.join(targets)} ({reason})" for reason, targets in reasons.items()]


def _scores(table: SuiteTable) -> Table:
    """An arm a row; groups, overall, and the overall difference from `none`."""
    groups = list(dict.fromkeys(group for row in table.rows for group in row.groups))
    view = Table(box=None, pad_edge=False)
    view.add_column("arm", overflow="fold", max_width=24)
    for name in (*groups, "overall", "gain", "95 % interval", "seeds"):
        view.add_column(name, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [f"{100 * row.groups[group]:.1f}" if group in row.groups else "-" for group in groups]
        overall = "-" if row.overall is None else f"{100 * row.overall:.1f}"
        view.add_row(_name(row), *cells, overall, *gain_cells(row.gain), str(row.seeds))
    return view


def _name(row: SuiteRow) -> str:
    return f"({row.arm})" if row.overlap else row.arm


def gain_cells(gain: Difference | None) -> tuple[str, str]:
    """A difference in points, and its interval."""
    if gain is None or gain.value is None:
        return "", ""
    if gain.low is None or gain.high is None:
        return f"{100 * gain.value:+.1f}", ""
    return f"{100 * gain.value:+.1f}", f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _choices(choices: tuple[Choice, ...]) -> Table:
    view = Table(box=None, pad_edge=False)
    for name, justify in (("target", "left"), ("group", "left"), ("best", "left"), ("chosen on", "left")):
        view.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("score", "none", "gain", "95 % interval"):
        view.add_column(name, justify="right", no_wrap=True)
    for one in choices:
        arm = f"({one.arm})" if one.overlap else one.arm
        none = "-" if one.none is None else f"{100 * one.none:.1f}"
        source = {"en_dev": "English dev", "target_dev": "target dev", "test": "test"}[one.selection]
        view.add_row(one.target, one.group, arm, source, f"{100 * one.score:.1f}", none, *gain_cells(one.gain))
    return view
