"""The answer for each target: a verdict in words, and how the probability of being best is shared out."""

from __future__ import annotations

import shlex

from raystilts.report.arms import TargetAnswer
from raystilts.report.html.formats import count, probability
from raystilts.report.html.gather import ReportData, arm_names, target_name
from raystilts.report.html.markup import Markup, tag
from raystilts.report.html.overall import overall_part
from raystilts.report.html.words import all_exploratory, leader_sentence
from raystilts.report.tables import verdict

#: Arms less likely than this share one segment of the bar.
SMALLEST = 0.03
#: Segments of a bar at most, the rest not counted.
MOST = 6


def answer_section(data: ReportData) -> Markup:
    """One entry a target."""
    entries = [_entry(i, answer, warn=not all_exploratory(data)) for i, answer in enumerate(data.answers)]
    parts = (tag("ol", entries, class_="answers"), overall_part(data), _next(data))
    return tag("section", tag("h2", "The answer"), parts, id="answer")


def _next(data: ReportData) -> Markup | None:
    """How to find the runs that would settle open targets; None where there are none, or no study to run."""
    if data.study is None or all(len(answer.best) == 1 for answer in data.answers):
        return None
    command = tag("code", f"raystilts next {shlex.quote(data.folder)} -o next.yaml")
    return tag(
        "p", "The cheapest further runs that would settle what is open, as a study file: ", command, class_="note"
    )


def _entry(index: int, answer: TargetAnswer, *, warn: bool) -> Markup:
    warning = [note for note in answer.notes if warn and "exploratory" in note]
    return tag(
        "li",
        tag("h3", tag("a", target_name(answer), href=f"#target-{index}")),
        tag("p", verdict(answer), class_="verdict"),
        probability_bar(answer),
        tag("p", leader_sentence(answer)),
        [tag("p", f"Note: {note}.", class_="note") for note in warning],
    )


def probability_bar(answer: TargetAnswer) -> Markup | None:
    """P(best) of the competing arms as one bar with its legend; None where it is not known."""
    named = zip(answer.arms, arm_names(answer.arms), strict=True)
    known = [(arm.p_best, name) for arm, name in named if arm.competes and arm.p_best is not None]
    if not known:
        return None
    ranked = sorted(known, key=lambda one: -one[0])
    shown = [one for one in ranked[:MOST] if one[0] >= SMALLEST]
    rest = sum(p for p, _ in ranked) - sum(p for p, _ in shown)
    segments = [tag("i", style=f"flex:{p:.3f}") for p, _ in shown]
    legend = [tag("li", tag("b", name), " ", probability(p)) for p, name in shown]
    if rest >= 0.005:
        segments.append(tag("i", style=f"flex:{rest:.3f}", class_="rest"))
        legend.append(tag("li", count(len(ranked) - len(shown), "other") + " ", probability(rest)))
    return tag(
        "div",
        tag("div", segments, class_="bar", aria_hidden="true"),
        tag("ul", legend, class_="legend", aria_label=f"Probability of being best for {target_name(answer)}"),
        class_="share",
    )
