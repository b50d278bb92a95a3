"""Each target in detail, folded away where there are many."""

from __future__ import annotations

from raystilts.report.arms import TargetAnswer
from raystilts.report.html.curves import curves_figure
from raystilts.report.html.decisions import decisions_part
from raystilts.report.html.forest import forest_table
from raystilts.report.html.formats import count, listed, share
from raystilts.report.html.gather import ReportData, target_name
from raystilts.report.html.languages import language_table
from raystilts.report.html.markup import Markup, tag
from raystilts.report.html.scaling import scaling_figures

#: With at most so many targets, all are open at first.
OPEN = 2


def targets_section(data: ReportData) -> Markup:
    """One fold a target."""
    folds = [_fold(data, i, answer) for i, answer in enumerate(data.answers)]
    return tag("section", tag("h2", "Targets in detail"), folds, id="targets")


def _fold(data: ReportData, index: int, answer: TargetAnswer) -> Markup:
    summary = tag("summary", tag("h3", target_name(answer)), " ", tag("span", _short(answer)))
    content = [
        tag("p", _measured(answer), id=f"target-{index}", class_="measured"),
        _notes(answer),
        forest_table(answer),
        _languages(data, index),
        scaling_figures(data.answers, answer),
        curves_figure(data.curves, answer),
        decisions_part(data.decisions, answer),
    ]
    return tag("details", summary, content, open=index == 0 or len(data.answers) <= OPEN)


def _short(answer: TargetAnswer) -> str:
    """The verdict in a few words."""
    return f"best: {listed(answer.best, 'or')}" if answer.best else "not ranked"


def _measured(answer: TargetAnswer) -> str:
    """What the scores are."""
    names = answer.languages
    where = f"mean of {count(len(names), 'language')}: {', '.join(names)}" if len(names) > 1 else f"in {listed(names)}"
    part = answer.target_fraction
    size = f" Trained on {share(part)} of its data." if part is not None and part != 1.0 else ""
    return f"Score: {answer.metric} × 100 on test, {where}.{size}"


def _notes(answer: TargetAnswer) -> Markup | None:
    if not answer.notes:
        return None
    return tag("ul", [tag("li", f"{note}.") for note in answer.notes], class_="notes")


def _languages(data: ReportData, index: int) -> Markup | None:
    table = language_table(data, index)
    return tag("div", tag("h4", "By language"), table) if table else None
