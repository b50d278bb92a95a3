"""The transfer matrix: an arm a row, a target a column; once with gains, once with P(best)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raystilts.report.arms import ArmAnswer
from raystilts.report.html import palette
from raystilts.report.html.axes import Scale, spread
from raystilts.report.html.formats import NOTHING, count, half_width, interval, points, probability, score
from raystilts.report.html.gather import ReportData, arm_names, target_name
from raystilts.report.html.markup import Child, Markup, breakable, join, tag
from raystilts.report.html.tables import table


@dataclass(frozen=True, slots=True)
class Grid:
    """The arms of all targets side by side.

    Attributes:
        rows: Names of arms, `none` first, then by name and size.
        columns: Names of targets.
        cells: (row, column) to the arm there and its place in its answer.
    """

    rows: list[str]
    columns: list[str]
    cells: dict[tuple[int, int], tuple[ArmAnswer, int]]


def arrange(data: ReportData) -> Grid:
    """Arms that were run anywhere, in a fixed order."""
    found: dict[str, tuple[bool, str, float, str]] = {}
    places: list[tuple[str, int, ArmAnswer, int]] = []
    for column, answer in enumerate(data.answers):
        for place, (arm, name) in enumerate(zip(answer.arms, arm_names(answer.arms), strict=True)):
            found[name] = (arm.intermediate != "none", arm.intermediate, -(arm.intermediate_fraction or 0.0), name)
            places.append((name, column, arm, place))
    rows = sorted(found, key=lambda name: found[name])
    cells = {(rows.index(name), column): (arm, place) for name, column, arm, place in places}
    return Grid(rows, [target_name(answer) for answer in data.answers], cells)


def gains_section(data: ReportData) -> Markup:
    """The heatmap of gains; of mean scores where there are no gains."""
    grid = arrange(data)
    if not data.has_gains:
        said = "There is no run of none in these tables, so gains over it are not known. Mean scores are below."
        return tag("section", tag("h2", "Gains over none"), tag("p", said), id="gains")
    caption = "Gain over none in points, with half the width of its 95 % interval"
    shown = _table(grid, caption, lambda row, column: _gain(grid, row, column), id="matrix")
    return tag(
        "section", tag("h2", "Gains over none"), _reading(), _language_choice(data), shown, _legend(),
        id="gains",
    )  # fmt: skip


def _reading() -> Markup:
    return tag(
        "p",
        "Each cell is what training on the arm first adds to the target’s test score, against training on the target "
        "alone. ", tag("strong", "Full colour, bold and a star"), ": the 95 % interval excludes zero. Pale: it does "
        "not. The mark below a number is the interval; its tick is zero, its scale that of the column. ",
        tag("strong", "●"), " is not told apart from the best.",
    )  # fmt: skip


def _language_choice(data: ReportData) -> Markup | None:
    """A choice of language, shown by the script that serves it; the tables of each target hold the same numbers."""
    if len(data.by_language) < 2:
        return None
    options = [tag("option", "mean over languages", value="")]
    options += [tag("option", language, value=language) for language in data.by_language]
    return tag("p", tag("label", "Language ", tag("select", options, id="language")), id="choice", hidden=True)


def _table(grid: Grid, caption: str, cell: Callable[[int, int], Markup], **attributes: str) -> Markup:
    head = tag("tr", tag("th", "arm", scope="col"), [tag("th", breakable(name), scope="col") for name in grid.columns])
    body = [
        tag("tr", tag("th", breakable(name), scope="row"), [cell(row, column) for column in range(len(grid.columns))])
        for row, name in enumerate(grid.rows)
    ]
    return table(caption, head, body, class_="heat", **attributes)


def _gain(grid: Grid, row: int, column: int) -> Markup:
    found = grid.cells.get((row, column))
    if found is None:
        return tag("td", NOTHING, class_="none")
    arm, place = found
    at = f"{column},{place}"
    best = tag("b", "●", class_="best", title="not told apart from the best") if arm.in_best_set else None
    if arm.intermediate == "none" and arm.gain is None:
        return tag("td", best, score(arm.mean), tag("small", "score"), class_="none", data_at=at)
    if arm.gain is None:
        return tag("td", _unfinished(arm), class_="none", data_at=at)
    title = f"{grid.rows[row]} → {grid.columns[column]}: {points(arm.gain)}"
    known = interval(arm.gain_low, arm.gain_high)
    title += f" ({known}), {count(arm.seeds, 'seed')}" if known else f", {count(arm.seeds, 'seed')}"
    content = join(best, gain_text(arm), whisker(arm, _bounds(grid, column)))
    return tag("td", content, class_=gain_class(arm), title=title, data_at=at)


def excludes_zero(arm: ArmAnswer) -> bool:
    """Whether the 95 % interval of a gain lies on one side of zero."""
    if arm.gain_low is None or arm.gain_high is None:
        return False
    return arm.gain_low > 0 or arm.gain_high < 0


def gain_class(arm: ArmAnswer) -> str:
    """The CSS classes of a gain."""
    assert arm.gain is not None
    return palette.cell_class(arm.gain, excludes_zero(arm))


def gain_text(arm: ArmAnswer) -> Markup:
    """A gain as a cell shows it: a star where the interval excludes zero, brackets where training data overlap."""
    text = points(arm.gain) + ("*" if excludes_zero(arm) else "")
    return join(f"({text})" if arm.overlap else text, tag("small", half_width(arm.gain_low, arm.gain_high)))


def _unfinished(arm: ArmAnswer) -> str:
    """What became of an arm without a score."""
    words = ((arm.stopped, "stopped"), (arm.failed, "failed"), (arm.degenerate, "degenerate"))
    return ", ".join(f"{number} {word}" for number, word in words if number) or NOTHING


def _bounds(grid: Grid, column: int) -> tuple[float, float]:
    """The range of all intervals of a column, zero among it."""
    arms = [arm for (_, at), (arm, _) in grid.cells.items() if at == column]
    ends = [end for arm in arms for end in (arm.gain_low, arm.gain_high) if end is not None]
    return spread([0.0, *ends], pad=0.03)


def whisker(arm: ArmAnswer, bounds: tuple[float, float]) -> Markup | None:
    """The interval as a line with a tick at zero, drawn by CSS."""
    if arm.gain_low is None or arm.gain_high is None:
        return None
    scale = Scale(*bounds, 0.0, 100.0)
    left, right, zero = scale(arm.gain_low), 100 - scale(arm.gain_high), scale(0.0)
    return tag("i", style=f"--a:{left:.0f}%;--b:{right:.0f}%;--z:{zero:.0f}%", class_="w", aria_hidden="true")


def _legend() -> Markup:
    """The colour scale; in words first, for those who do not see the colours."""
    marks = [f"{100 * threshold:g}" for threshold in palette.THRESHOLDS]
    swatches: list[Child] = []
    for step in range(-len(marks), len(marks) + 1):
        edge = f"{'−' if step < 0 else '+' if step else '±'}{marks[max(0, abs(step) - 1)]}"
        gain = 0.0 if step == 0 else palette.THRESHOLDS[abs(step) - 1] * (1.01 if step > 0 else -1.01)
        word = f"under {edge}" if step == 0 else edge
        swatches.append(tag("li", word if step else "0", class_=palette.cell_class(gain, True), title=f"{word} points"))
    words = "Colour, from this many points: orange loses, blue gains. (…) trains on the target’s own training data."
    return tag("div", tag("ul", swatches, class_="scale", aria_hidden="true"), tag("p", words), class_="key")


def probability_section(data: ReportData) -> Markup:
    """P(best) of every arm and target, with the mean score."""
    grid = arrange(data)
    caption = "Probability of being the best of those that compete, with the mean test score"
    shown = _table(grid, caption, lambda row, column: _probability(grid, row, column))
    selection = _selections(data)
    return tag("section", tag("h2", "P(best)"), tag("p", selection), shown, id="p-best")


def _selections(data: ReportData) -> str:
    """Which data the probabilities rest on."""
    words = {
        "en_dev": "English dev data",
        "target_dev": "dev data of the target languages",
        "test": "test data, for want of dev data, so that they are exploratory",
    }
    rules: dict[str, list[str]] = {}
    for answer in data.answers:
        for rule in dict.fromkeys(arm.selection for arm in answer.arms):
            rules.setdefault(words[rule], []).append(target_name(answer))
    if len(rules) == 1:
        return f"Probabilities rest on {next(iter(rules))}. Smaller fractions and overlapping data do not compete."
    parts = [f"on {rule} ({', '.join(dict.fromkeys(names))})" for rule, names in rules.items()]
    return f"Probabilities rest {'; '.join(parts)}. Smaller fractions and overlapping data do not compete."


def _probability(grid: Grid, row: int, column: int) -> Markup:
    found = grid.cells.get((row, column))
    if found is None:
        return tag("td", NOTHING, class_="none")
    arm, _ = found
    mean = tag("small", score(arm.mean)) if arm.mean is not None else None
    if not arm.competes or arm.p_best is None:
        return tag("td", _unfinished(arm) if arm.mean is None else "", mean, class_="none")
    best = tag("b", "●", class_="best", title="not told apart from the best") if arm.in_best_set else None
    return tag("td", best, probability(arm.p_best), mean, class_="prob", style=f"--p:{100 * arm.p_best:.0f}%")
