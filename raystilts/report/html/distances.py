"""Gains of the likeliest best arm in each language, over the language's distance from English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raystilts.report.html.charts import Scale, spread, tick_label, ticks
from raystilts.report.html.gather import ReportData, leader
from raystilts.report.html.markup import Markup, points, tag
from raystilts.report.text import measured_on
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names

WIDTH, HEIGHT = 360.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 38.0, 22.0, 10.0, 34.0
#: Languages of a chart at least, and how many all get a label.
LEAST, LABELLED = 4, 16


@dataclass(frozen=True, slots=True)
class Place:
    """One language: its distance from English, 0 to 1, and the arm's answer there."""

    language: str
    distance: float
    arm: ArmAnswer


def distances_part(data: ReportData) -> Markup | None:
    """A chart a target; None where distances are not known, or languages are few."""
    charts = [chart for answer in data.answers if (chart := _chart(data, answer)) is not None]
    if not charts:
        return None
    said = (
        f"Gain of the likeliest best intermediate over {data.baseline} on {measured_on(data.answers)}, over the "
        "syntactic distance of the language from English (URIEL+, 0 to 1). A filled dot: the 95 % interval excludes "
        "zero. Languages are few and related, so read no law off this; raystilts analyze language-similarity tests it."
    )
    return tag("div", tag("h3", "Gains and the distance from English"), tag("p", said),
               tag("div", charts, class_="panels wide"))  # fmt: skip


def shown_arm(answer: TargetAnswer) -> ArmAnswer | None:
    """The likeliest best arm; beside a leading `none` the competing one with the highest gain."""
    first = leader(answer)
    if first is not None and first.intermediate != "none" and first.gain is not None:
        return first
    others = [arm for arm in answer.arms if arm.competes and arm.gain is not None]
    return max(others, key=lambda arm: arm.gain or 0.0, default=None)


def places_of(data: ReportData, answer: TargetAnswer, arm: ArmAnswer) -> list[Place]:
    """The languages of a target whose distance is known, nearest first."""
    key = (answer.target, answer.target_fraction)
    own = (arm.intermediate, arm.intermediate_fraction, arm.hyperparameters)
    found = []
    for language, answers in data.by_language.items():
        for other in answers:
            for one in other.arms if (other.target, other.target_fraction) == key else ():
                same = (one.intermediate, one.intermediate_fraction, one.hyperparameters) == own
                if same and one.gain is not None and language in data.distances:
                    found.append(Place(language, data.distances[language], one))
    return sorted(found, key=lambda place: (place.distance, place.language))


def _chart(data: ReportData, answer: TargetAnswer) -> Markup | None:
    arm = shown_arm(answer)
    places = [] if arm is None else places_of(data, answer, arm)
    if arm is None or len(places) < LEAST:
        return None
    name = arm_names(answer.arms)[answer.arms.index(arm)]
    return scatter(f"{name} → {answer.label}", places)


def scatter(title: str, places: Sequence[Place]) -> Markup:
    """The chart of one arm and target."""
    x = Scale(*spread([0.0, *(place.distance for place in places)]), LEFT, WIDTH - RIGHT)
    ends = [end for place in places for end in (place.arm.gain, place.arm.gain_low, place.arm.gain_high)]
    y = Scale(*spread([0.0, *(end for end in ends if end is not None)]), HEIGHT - BOTTOM, TOP)
    content = [*_frame(x, y), *(_point(x, y, place) for place in places)]
    named = _named(places)
    content += [_label(x, y, place) for place in places if place.language in named]
    words = "; ".join(f"{place.language} at {place.distance:.2f}: {points(place.arm.gain)}" for place in places)
    drawing = tag(
        "svg", tag("title", title), tag("desc", f"Gain by distance. {words}."), content,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", role="img",
    )  # fmt: skip
    return tag("figure", tag("figcaption", tag("b", title)), drawing)


def _frame(x: Scale, y: Scale) -> list[Markup]:
    parts = []
    for value in ticks(y.low, y.high, 5):
        kind = "base" if abs(value) < 1e-12 else "grid"
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), class_=kind))
        parts.append(tag("text", tick_label(value), x=LEFT - 5, y=y(value) + 3.5, text_anchor="end"))
    for value in ticks(x.low, x.high, 5):
        if value >= 0:
            parts.append(tag("text", f"{value:.2g}", x=x(value), y=HEIGHT - BOTTOM + 14, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", "syntactic distance from English", x=middle, y=HEIGHT - 4, text_anchor="middle"))
    return parts


def _point(x: Scale, y: Scale, place: Place) -> Markup:
    gain = place.arm.gain or 0.0
    at = x(place.distance)
    parts = []
    if place.arm.gain_low is not None and place.arm.gain_high is not None:
        ends = y(place.arm.gain_low), y(place.arm.gain_high)
        parts.append(tag("line", x1=at, x2=at, y1=ends[0], y2=ends[1], class_="grid error"))
    words = tag("title", f"{place.language}: {points(gain)} at distance {place.distance:.2f}")
    parts.append(tag("circle", words, cx=at, cy=y(gain), r=3.5, class_="sure" if place.arm.certain else "open"))
    return tag("g", parts)


def _named(places: Sequence[Place]) -> set[str]:
    """Languages with a label: all of few; of many those at the edges."""
    if len(places) <= LABELLED:
        return {place.language for place in places}
    by_gain = sorted(places, key=lambda place: place.arm.gain or 0.0)
    return {place.language for place in (*by_gain[:3], *by_gain[-3:], places[0], places[-1])}


def _label(x: Scale, y: Scale, place: Place) -> Markup:
    return tag("text", place.language, x=x(place.distance) + 5, y=y(place.arm.gain or 0.0) - 4)
