"""The answer for each target in words, and each target in detail: its arms, languages, sizes, curves, decisions."""

from __future__ import annotations

import shlex

import pandas as pd

from raystilts.analysis.presentation import listed
from raystilts.report.html.charts import Scale, curves_figure, scaling_figures, spread, tick_label, ticks
from raystilts.report.html.gather import ReportData, all_exploratory, leader_sentence
from raystilts.report.html.glance import glance
from raystilts.report.html.markup import (
    NOTHING,
    Markup,
    breakable,
    count,
    interval,
    join,
    part,
    points,
    probability,
    score,
    share,
    table,
    tag,
)
from raystilts.report.html.overview import language_table, overall_part
from raystilts.report.text import footnotes, verdict
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names
from raystilts.results.reader import json_column

#: Arms less likely than this share one segment of the bar.
SMALLEST = 0.03
#: Segments of a bar at most, the rest not counted.
MOST = 6


def answer_section(data: ReportData) -> Markup:
    """One entry a target."""
    entries = [_entry(i, answer, warn=not all_exploratory(data)) for i, answer in enumerate(data.answers)]
    words = tag("h3", "Target by target", class_="apart") if len(entries) > 1 else None
    parts = (glance(data), words, tag("ol", entries, class_="answers"), overall_part(data), _next(data))
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
    warning = [note for note in answer.notes if warn and "chosen and scored on the same" in note]
    return tag(
        "li",
        tag("h3", tag("a", answer.label, href=f"#target-{index}")),
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
        tag("ul", legend, class_="legend", aria_label=f"Probability of being best for {answer.label}"),
        class_="share",
    )


WIDTH, HEIGHT, EDGE = 240.0, 22.0, 14.0


def forest_table(answer: TargetAnswer) -> Markup:
    """One row an arm, best first; intervals share one axis."""
    named = list(zip(answer.arms, arm_names(answer.arms), strict=True))
    scale = _scale([arm for arm, _ in named])
    heads = ["arm", "mean", "gain", "95 % interval"] if scale else ["arm", "mean"]
    heads += ["P(best)", "regret", "seeds", "marks"]
    cells = [tag("th", head, scope="col", class_=None if head in ("arm", "marks") else "number") for head in heads]
    if scale:
        cells[4:4] = [tag("th", _axis(scale), class_="plot")]
    body = [_row(arm, name, scale) for arm, name in named]
    caption = f"Arms for {answer.target}: {answer.metric} × 100 on {answer.data}, best first"
    shown = table(caption, tag("tr", cells), body, class_="forest")
    notes = footnotes(answer) if scale else []
    return join(shown, *(tag("p", f"{note[0].upper()}{note[1:]}.", class_="note") for note in notes))


def _scale(arms: list[ArmAnswer]) -> Scale | None:
    """The axis of gains; None where there are none."""
    ends = [value for arm in arms for value in (arm.gain, arm.gain_low, arm.gain_high) if value is not None]
    return Scale(*spread([0.0, *ends]), EDGE, WIDTH - EDGE) if ends else None


def _row(arm: ArmAnswer, name: str, scale: Scale | None) -> Markup:
    label: list[Markup] = [tag("b", "●", class_="best", title="not told apart from the best"), breakable(name)]
    label = label if arm.in_best_set else label[1:]
    cells = [tag("td", score(arm.mean), class_="number")]
    if scale:
        gain = "baseline" if arm.intermediate == "none" and arm.gain is None else points(arm.gain)
        cells.append(tag("td", gain, class_="number strong" if arm.certain else "number"))
        cells.append(tag("td", interval(arm.gain_low, arm.gain_high), class_="number"))
        cells.append(tag("td", _drawing(arm, scale), class_="plot"))
    competing = arm.competes and arm.p_best is not None
    cells.append(
        tag("td", probability(arm.p_best), class_="prob number", style=f"--p:{100 * (arm.p_best or 0):.0f}%")
        if competing
        else tag("td", NOTHING, class_="number")
    )
    cells.append(tag("td", score(arm.expected_regret) if competing else NOTHING, class_="number"))
    cells.append(tag("td", arm.seeds, class_="number"))
    cells.append(tag("td", ", ".join(marks(arm)), class_="marks"))
    return tag("tr", tag("th", label, scope="row"), cells, class_=None if arm.competes else "aside")


def marks(arm: ArmAnswer) -> list[str]:
    """What else must be known of an arm, in words."""
    found = ["best set"] if arm.in_best_set and arm.p_best is not None else []
    found += ["overlap"] if arm.overlap else ["does not compete"] if not arm.competes else []
    counts = ((arm.stopped, "stopped"), (arm.failed, "failed"), (arm.degenerate, "degenerate"))
    told = [f"{number} {word}" for number, word in counts if number]
    if arm.stopped and arm.stopped_at is not None:
        told[0] += f" at {part(arm.stopped_at)}"
    unseen = arm.posterior == "study" and not arm.seeds and not told and arm.p_best is not None
    return found + told + (["not run on this target"] if unseen else [])


def _drawing(arm: ArmAnswer, scale: Scale) -> Markup:
    """A gain and its interval as a dot on a line; the numbers stand beside it."""
    middle = HEIGHT / 2
    parts = [_line(scale(0.0), 0.0, scale(0.0), HEIGHT, "zero")]
    if arm.gain is not None:
        kind = "sure" if arm.certain else "open"
        if arm.gain_low is not None and arm.gain_high is not None:
            parts.append(_line(scale(arm.gain_low), middle, scale(arm.gain_high), middle, "interval"))
        parts.append(tag("circle", cx=scale(arm.gain), cy=middle, r=4, class_=kind))
    return _svg(parts, HEIGHT)


def _axis(scale: Scale) -> Markup:
    """Tick labels in points."""
    parts = [
        tag("text", f"{'+' * (value > 0)}{tick_label(value)}", x=scale(value), y=HEIGHT - 5, text_anchor="middle")
        for value in ticks(scale.low, scale.high, 4)
    ]
    return join(_svg(parts, HEIGHT), tag("span", "gain, drawn", class_="hidden"))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _svg(parts: list[Markup], height: float) -> Markup:
    return tag("svg", parts, viewBox=f"0 0 {WIDTH:g} {height:g}", class_="row", aria_hidden="true")


def decisions_part(frame: pd.DataFrame, answer: TargetAnswer) -> Markup | None:
    """One sentence a round; None where nothing was decided.

    Args:
        frame: `Results.decisions`.
        answer: The target.
    """
    fractions = frame["target_fraction"]
    same = fractions.isna() if answer.target_fraction is None else fractions == answer.target_fraction
    rounds = frame[(frame["target"] == answer.target) & same]
    if not len(rounds):
        return None
    columns = ("rule", "round", "share", "arms_kept", "arms_dropped", "scores")
    said = [_sentence(*row) for row in zip(*(rounds[name] for name in columns), strict=True)]
    return tag("div", tag("h4", "Early stopping"), tag("ul", [tag("li", one) for one in said], class_="plain"))


def _sentence(rule: str, number: int, share: float | None, kept: str, dropped: str, scores: str) -> str:
    """A round in words: where it was, who stopped, how many went on; with the dev scores that were compared."""
    where = f"at {part(share)} of training" if pd.notna(share) and share is not None and share < 1 else ""
    values: dict[str, float | None] = json_column(scores, dict)
    stopped = [f"{arm} ({score(values[arm])})" if arm in values else arm for arm in json_column(dropped, list)]
    went_on = json_column(kept, list)
    best = max((values[arm] or 0.0 for arm in went_on if arm in values), default=None)
    ahead = f"{count(len(went_on), 'arm')} went on{'' if best is None else f', the best at {score(best)}'}"
    what = f"{listed(stopped)} stopped; {ahead}" if stopped else f"none stopped; {ahead}"
    return f"{rule}, round {number}{f', {where}' if where else ''}: {what}."


#: With at most so many targets, all are open at first.
OPEN = 2


def targets_section(data: ReportData) -> Markup:
    """One fold a target."""
    folds = [_fold(data, i, answer) for i, answer in enumerate(data.answers)]
    return tag("section", tag("h2", "Targets in detail"), folds, id="targets")


def _fold(data: ReportData, index: int, answer: TargetAnswer) -> Markup:
    left = listed(answer.best, "or")
    short = f"best: {left}" if answer.repeated else f"not told apart: {left}" if answer.best else "not ranked"
    summary = tag("summary", tag("h3", answer.label), " ", tag("span", short))
    languages = language_table(data, index)
    content = [
        tag("p", _measured(answer), id=f"target-{index}", class_="measured"),
        tag("ul", [tag("li", f"{note}.") for note in answer.notes], class_="notes") if answer.notes else None,
        forest_table(answer),
        tag("div", tag("h4", "By language"), languages) if languages else None,
        scaling_figures(data.answers, answer),
        curves_figure(data.curves, answer),
        decisions_part(data.decisions, answer),
    ]
    return tag("details", summary, content, open=index == 0 or len(data.answers) <= OPEN)


def _measured(answer: TargetAnswer) -> str:
    """What the scores are."""
    names = answer.languages
    where = f"mean of {count(len(names), 'language')}: {', '.join(names)}" if len(names) > 1 else f"in {listed(names)}"
    part = answer.target_fraction
    size = f" Trained on {share(part)} of its data." if part is not None and part != 1.0 else ""
    if answer.target_examples is not None:
        size = f" Trained on {count(answer.target_examples, 'example')}."
    return f"Score: {answer.metric} × 100 on {answer.data}, {where}.{size}"
