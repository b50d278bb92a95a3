"""The page of a hyperparameter search: best values, what mattered, trials over time and over each range."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from raystilts.report.html.charts import Axes, cross, dot, panel, path, spread, tick_label, ticks
from raystilts.report.html.markup import Markup, breakable, count, score, table, tag
from raystilts.report.html.page import document
from raystilts.report.html.provenance import study_yaml
from raystilts.report.search_text import SHOWN, search_verdict, value_text
from raystilts.study.schema import Study
from raystilts.study.search import Range, Space
from raystilts.tuning.outcome import UnitOutcome
from raystilts.tuning.sampler import Observed
from raystilts.tuning.trials import settings, space_of


def search_page(folder: str, study: Study, outcomes: Sequence[UnitOutcome]) -> str:
    """The report of a search as an HTML document."""
    search = settings(study)
    said = (
        f"Sampler: {search.sampler}; "
        + ("no early stopping" if search.schedule == "full" else "single trials stopped early (asha)")
        + ". A score on dev that is the best of many trials is partly luck: look at held-out seeds before you quote it."
    )
    header = tag(
        "header",
        tag("p", "Hyperparameter search", class_="over"),
        tag("h1", study.name),
        tag("p", "Which hyperparameters are best for each task, and does it pay to search on?", class_="question"),
        tag("p", said),
    )
    names = [one.unit.name for one in outcomes]
    links = [tag("li", tag("a", name, href=f"#unit-{place}")) for place, name in enumerate(names)]
    sections = [_section(place, one, space_of(study, one.unit)) for place, one in enumerate(outcomes)]
    return document(
        study.name,
        tag("a", "To the first answer", href="#unit-0", class_="skip"),
        header,
        tag("nav", tag("ul", links), aria_label="Sections"),
        tag("main", sections, _again(folder, study)),
    )


def _section(place: int, one: UnitOutcome, space: Space) -> Markup:
    counted = (
        f"{count(len(one.trials), 'trial')}: {one.count('finished')} finished, {one.count('stopped')} stopped, "
        f"{one.count('failed')} failed; {one.metric} × 100 on dev."
    )
    return tag(
        "section",
        tag("h2", breakable(one.unit.name)),
        tag("p", search_verdict(one), class_="verdict"),
        tag("p", counted),
        _best(one, space),
        _charts(one, space),
        id=f"unit-{place}",
    )


def _best(one: UnitOutcome, space: Space) -> Markup | None:
    """The best trials, and what mattered."""
    finished = [t for t in one.trials if t.state == "finished" and t.value is not None]
    if not finished:
        return None
    head = tag("tr", tag("th", "dev", scope="col"), [tag("th", breakable(name), scope="col") for name in space])
    rows = [
        tag("tr", tag("th", score(t.value), scope="row"), [tag("td", value_text(t.values[name])) for name in space])
        for t in sorted(finished, key=lambda t: -(t.value or 0.0))[:SHOWN]
    ]
    if one.importance:
        shares = [tag("td", f"{one.importance.get(name, 0.0):.0%}") for name in space]
        rows.append(tag("tr", tag("th", "importance", scope="row"), shares))
    return table(f"The best trials of {one.unit.name}", head, rows)


def _charts(one: UnitOutcome, space: Space) -> Markup | None:
    """Scores over the trials, and over each range of numbers."""
    seen = [t for t in one.trials if t.value is not None and math.isfinite(t.value)]
    if len(seen) < 2:
        return None
    low, high = spread([float(t.value or 0.0) for t in seen], least=0.05)
    y_ticks = [(value, tick_label(value)) for value in ticks(low, high, 4)]
    charts = [_history(seen, (low, high), y_ticks)]
    charts += [
        _slice(name, one_range, seen, (low, high), y_ticks)
        for name, one_range in space.items()
        if one_range.form != "choice" or all(isinstance(v, int | float) for v in one_range.values)
    ]
    said = "Dots: finished trials; ×: stopped early, with their score there. Line: the best so far."
    return tag("div", tag("h3", "Trials"), tag("p", said), tag("div", charts, class_="panels"))


def _marks(axes: Axes, points: Sequence[tuple[float, Observed]]) -> list[Markup]:
    return [
        dot(axes, x, float(t.value or 0.0), "sure")
        if t.state == "finished"
        else cross(axes, x, float(t.value or 0.0))
        for x, t in points
    ]


def _history(seen: Sequence[Observed], y: tuple[float, float], y_ticks: Sequence[tuple[float, str]]) -> Markup:
    number = len(seen)
    x_ticks = [(value, f"{value:g}") for value in ticks(1.0, float(number), 4)]
    axes = Axes.of((0.5, number + 0.5), y, x_ticks, y_ticks)
    best: list[tuple[float, float]] = []
    for place, trial in enumerate(seen, start=1):
        value = float(trial.value or 0.0) if trial.state == "finished" else -math.inf
        best.append((float(place), max(value, best[-1][1] if best else -math.inf)))
    line = [(x, value) for x, value in best if math.isfinite(value)]
    content = [path(axes, line, "mean")] if len(line) > 1 else []
    content += _marks(axes, [(float(place), trial) for place, trial in enumerate(seen, start=1)])
    words = f"Scores of {number} trials in order; the best is {score(best[-1][1] if line else None)}."
    return panel(axes, "over trials", words, content)


def _slice(
    name: str, one: Range, seen: Sequence[Observed], y: tuple[float, float], y_ticks: Sequence[tuple[float, str]]
) -> Markup:
    """Scores over the values of one hyperparameter."""
    log = one.form == "loguniform"
    values = [float(v) for v in one.values] if one.form == "choice" else list(one.ends)
    low, high = (math.log10(v) if log else v for v in (min(values), max(values)))
    margin = 0.04 * (high - low)
    powers = [float(e) for e in range(math.ceil(low), math.floor(high) + 1)]
    x_ticks = [(e, f"1e{e:.0f}") for e in powers] if log else [(v, f"{v:g}") for v in ticks(low, high, 3)]
    if one.form == "choice" and len(values) <= 4:
        x_ticks = [(v, f"{v:g}") for v in values]
    axes = Axes.of((low - margin, high + margin), y, x_ticks, y_ticks)
    points = [(math.log10(v) if log else v, t) for t in seen for v in [float(t.values[name])]]
    return panel(axes, name, f"Scores of {len(seen)} trials over {name}.", _marks(axes, points))


def _again(folder: str, study: Study) -> Markup:
    place = shlex.quote(folder)
    lines = [
        f"raystilts best {place}",
        f"raystilts export-optuna {place} sqlite:///{study.name}.db",
        f"# in a grid's study file: hyperparameters: {{from: {folder}/hyperparameters.yaml}}",
    ]
    file = tag("details", tag("summary", "The study file"), tag("pre", tag("code", study_yaml(study))))
    return tag("section", tag("h2", "Provenance"), tag("pre", tag("code", "\n".join(lines))), file, id="provenance")
