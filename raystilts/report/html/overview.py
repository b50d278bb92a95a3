"""All targets at once: the matrix of gains and of P(best), the leaders by language, the arms over all targets.

Points of different targets are never averaged: over all targets there are mean ranks, and gains in units of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raystilts.analysis.presentation import listed
from raystilts.report.html import palette
from raystilts.report.html.charts import Scale, spread
from raystilts.report.html.distances import distances_part
from raystilts.report.html.gather import ReportData, leader
from raystilts.report.html.markup import (
    MINUS,
    NOTHING,
    Child,
    Markup,
    breakable,
    count,
    half_width,
    interval,
    join,
    points,
    probability,
    score,
    table,
    tag,
)
from raystilts.report.text import ONE_SEED, choosing, has_scaled_gains, measured_on
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names
from raystilts.results.over_targets import ArmOverall, OverallAnswer


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
    return Grid(rows, [answer.label for answer in data.answers], cells)


def gains_section(data: ReportData) -> Markup:
    """The heatmap of gains; of mean scores where there are no gains."""
    grid, base = arrange(data), data.baseline
    if not data.has_gains:
        why = next((answer.no_gains for answer in data.answers if answer.no_gains), "no arm can be compared with it")
        said = f"Gains over {base} are not known: {why}. Mean scores are below."
        return tag("section", tag("h2", f"Gains over {base}"), tag("p", said), id="gains")
    caption = f"Gain over {base} in points"
    caption += ", with half the width of its 95 % interval" if data.has_intervals else ""
    shown = _table(grid, caption, lambda row, column: _gain(grid, row, column), id="matrix")
    return tag(
        "section", tag("h2", f"Gains over {base}"), _reading(data), _language_choice(data), shown, _legend(),
        id="gains",
    )  # fmt: skip


def _reading(data: ReportData) -> Markup:
    base, chooser = data.baseline, choosing(arm for answer in data.answers for arm in answer.arms)
    apart = f", by {chooser}, so that it may disagree with the gains, which are on test" if chooser else ""
    alone = "training on the target alone" if base == "none" else f"the baseline, {base}"
    added = f"Each cell is what training on the arm first adds to the target’s {measured_on(data.answers)} score, "
    if not data.has_intervals:
        return tag("p", f"{added}against {alone}. ", tag("strong", "●"), f" is {ONE_SEED}.")
    return tag(
        "p",
        f"{added}against {alone}. ",
        tag("strong", "Full colour, bold and a star"), ": the 95 % interval excludes zero. Pale: it does "
        "not. The mark below a number is the interval; its tick is zero, its scale that of the column. ",
        tag("strong", "●"), f" is not told apart from the best{apart}.",
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


def gain_class(arm: ArmAnswer) -> str:
    """The CSS classes of a gain."""
    assert arm.gain is not None
    return palette.cell_class(arm.gain, arm.certain)


def gain_text(arm: ArmAnswer) -> Markup:
    """A gain as a cell shows it: a star where the interval excludes zero, brackets where training data overlap."""
    text = points(arm.gain) + ("*" if arm.certain else "")
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
    caption = f"Probability of being the best of those that compete, with the mean {measured_on(data.answers)} score"
    shown = _table(grid, caption, lambda row, column: _probability(grid, row, column))
    selection = _selections(data)
    return tag("section", tag("h2", "P(best)"), tag("p", selection), shown, id="p-best")


def _selections(data: ReportData) -> str:
    """Which data the probabilities rest on."""
    if not any(answer.repeated for answer in data.answers):
        return f"There is none. {ONE_SEED[0].upper()}{ONE_SEED[1:]}."
    rules: dict[str, list[str]] = {}
    for answer in data.answers:
        lacking = "test" if answer.data == "dev" else "dev"
        words = {
            "en_dev": "English dev data",
            "target_dev": "dev data of the target languages",
            "test": f"{answer.data} data, for want of {lacking} data, so that they are exploratory",
        }
        for rule in dict.fromkeys(arm.selection for arm in answer.arms):
            rules.setdefault(words[rule], []).append(answer.label)
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


def languages_section(data: ReportData) -> Markup | None:
    """A language a row, a target a column: the leading arm; None where there is only one language."""
    if len(data.by_language) < 2:
        return None
    columns = [answer.label for answer in data.answers]
    body = []
    for language, answers in data.by_language.items():
        found = {answer.label: answer for answer in answers}
        cells = [_leading(found.get(name)) for name in columns]
        body.append(tag("tr", tag("th", language, scope="row"), cells))
    head = tag("tr", tag("th", "language", scope="col"), [tag("th", breakable(name), scope="col") for name in columns])
    gain = f"its gain over {data.baseline}"
    caption = f"The likeliest best arm in each language, its P(best), {gain}, and how many others remain"
    shown = table(caption, head, body, class_="leaders")
    said = "All gains by language are under each target."
    if any(arm.selection == "en_dev" for answer in data.answers for arm in answer.arms):
        said = f"Where English dev data choose, the choice is the same in every language; the gains differ. {said}"
    return tag("section", tag("h2", "Languages"), tag("p", said), shown, distances_part(data), id="languages")


def _leading(answer: TargetAnswer | None) -> Markup:
    first = leader(answer) if answer else None
    if answer is None or first is None:
        return tag("td", NOTHING, class_="none")
    others = sum(arm.in_best_set for arm in answer.arms) - 1
    gain = "baseline" if first.intermediate == "none" else points(first.gain) if first.gain is not None else ""
    small = [probability(first.p_best) if first.p_best is not None else "", gain, f"or {others} more" if others else ""]
    name = first.label
    return tag("td", breakable(name), tag("small", " · ".join(part for part in small if part)))


def language_table(data: ReportData, index: int) -> Markup | None:
    """Gains of one target: an arm a row, a language a column; None with fewer than two languages."""
    answer = data.answers[index]
    found = _in_languages(data, answer)
    if len(found) < 2:
        return None
    rows = [
        tag(
            "tr",
            tag("th", breakable(name), scope="row"),
            [_cell(_same(arm, one)) for one in found.values()],
            data_row=place,
        )
        for place, (arm, name) in enumerate(zip(answer.arms, arm_names(answer.arms), strict=True))
    ]
    head = tag("tr", tag("th", "arm", scope="col"), [tag("th", language, scope="col") for language in found])
    what = f"Gain over {data.baseline} in points" if data.has_gains else "Mean score"
    caption = f"{what} on {answer.label} by language"
    return table(caption, head, rows, class_="heat", id=f"languages-{index}")


def _in_languages(data: ReportData, answer: TargetAnswer) -> dict[str, TargetAnswer]:
    """The answers for a target's languages."""
    key = (answer.target, answer.target_fraction)
    pairs = ((language, other) for language, answers in data.by_language.items() for other in answers)
    return {language: other for language, other in pairs if (other.target, other.target_fraction) == key}


def _same(arm: ArmAnswer, other: TargetAnswer) -> ArmAnswer | None:
    """An arm in another answer."""
    key = (arm.intermediate, arm.intermediate_fraction, arm.hyperparameters)
    matching = (one for one in other.arms if (one.intermediate, one.intermediate_fraction, one.hyperparameters) == key)
    return next(matching, None)


def _cell(arm: ArmAnswer | None) -> Markup:
    if arm is None or arm.mean is None:
        return tag("td", NOTHING, class_="none")
    best = tag("b", "●", class_="best") if arm.in_best_set else None
    if arm.gain is None:
        return tag("td", best, score(arm.mean), tag("small", "score"), class_="none")
    return tag("td", join(best, gain_text(arm)), class_=gain_class(arm))


def overall_part(data: ReportData) -> Markup | None:
    """What is best on average over targets; None for one target, or where no arm competes in all of them."""
    found = data.overall
    if found is None or not found.by_rank or len(found.targets) < 2:
        return None
    notes = [tag("p", f"Note: {note}.", class_="note") for note in found.notes]
    more = tag("details", tag("summary", "All arms over all targets"), _overall_table(found))
    return tag("div", tag("h3", "Over all targets"), tag("p", _words(found), class_="verdict"), notes, more,
               class_="overall")  # fmt: skip


def _words(found: OverallAnswer) -> str:
    rank = _named(found.by_rank, "the lowest mean rank", "have a mean rank that is not told apart from the lowest")
    if not found.by_gain:
        return f"{rank}."
    what = "gain" if has_scaled_gains(found) else "score"
    if set(found.by_gain) == set(found.by_rank) and found.by_gain[0] == found.by_rank[0]:
        return f"{rank}; by {what} in units of each target the answer is the same."
    gain = _named(found.by_gain, f"the highest {what}", "are not told apart")
    return f"{rank}. By {what} in units of each target: {gain}."


def _named(names: tuple[str, ...], one: str, several: str) -> str:
    return f"{names[0]} has {one}" if len(names) == 1 else f"{listed(names)} {several}"


def _overall_table(found: OverallAnswer) -> Markup:
    gains = has_scaled_gains(found)
    heads = ["arm", "mean rank", "95 % interval", "P(lowest)"]
    heads += ["gain, scaled", "95 % interval", "P(highest)"] if gains else ["P(highest score, scaled)"]
    head = tag("tr", [tag("th", h, scope="col", class_=None if h == "arm" else "number") for h in heads])
    body = [_row(arm, gains=gains) for arm in found.arms if arm.competes]
    caption = f"Arms that compete in each of {listed(found.targets)}; 1 is the best rank"
    return table(caption, head, body)


def _row(arm: ArmOverall, *, gains: bool) -> Markup:
    best = tag("b", "●", class_="best", title="not told apart from the best") if arm.in_rank_set else None
    gain = (arm.scaled_gain, arm.scaled_low, arm.scaled_high)
    baseline = arm.intermediate == "none"
    cells = [
        _number(arm.mean_rank),
        _range(arm.rank_low, arm.rank_high),
        probability(arm.p_best_rank),
    ]
    if gains:
        cells.append("baseline" if baseline else _number(gain[0], "+.2f"))
        cells.append("" if baseline else _range(gain[1], gain[2]))
    cells.append(probability(arm.p_best_gain))
    return tag("tr", tag("th", best, breakable(arm.label), scope="row"), [tag("td", c, class_="number") for c in cells])


def _number(value: float | None, form: str = ".1f") -> str:
    return NOTHING if value is None else f"{value:{form}}".replace("-", MINUS)


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"
