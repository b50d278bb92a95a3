"""What a reader takes in within ten seconds: which targets are decided, by which arm, and how sure that is."""

from __future__ import annotations

from collections import Counter

from raystilts.analysis.presentation import listed
from raystilts.report.html.gather import ReportData, leader
from raystilts.report.html.markup import (
    NOTHING,
    Markup,
    breakable,
    count,
    interval,
    points,
    probability,
    table,
    tag,
)
from raystilts.report.text import measured_on, prose
from raystilts.results.answers import TargetAnswer, arm_names

#: What can be said of a target, the clearest first, and what that means.
STATES = {
    "decided": "decided (one arm is the best with at least 95 %)",
    "open": "open (several arms are not told apart)",
    "not learnt": "not learnt at this size",
    "too little": "without enough runs to compare",
}


def state(answer: TargetAnswer) -> str:
    """A key of `STATES`."""
    if not answer.learnt:
        return "not learnt"
    run = [arm for arm in answer.arms if arm.seeds]
    compared = len(run) > 1 and any(arm.intermediate != "none" for arm in run)
    if not answer.best or not compared or all(arm.p_best is None for arm in answer.arms):
        return "too little"
    return "decided" if len(answer.best) == 1 else "open"


def glance(data: ReportData) -> Markup:
    """The count in a sentence, and a row a target."""
    states = [state(answer) for answer in data.answers]
    counts = Counter(states)
    known = [(counts[one], words) for one, words in STATES.items() if counts[one]]
    said = [f"{number} {'is' if number == 1 else 'are'} {words}" for number, words in known]
    sentence = f"Of {count(len(states), 'target')} {listed(said)}."
    gain = f"gain on {measured_on(data.answers)}"
    heads = ("target", "state", "arm to take", "P(best)", gain, "95 % interval", "left")
    numbers = heads[3:]
    head = tag("tr", [tag("th", h, scope="col", class_="number" if h in numbers else None) for h in heads])
    body = [_row(i, answer, state(answer)) for i, answer in enumerate(data.answers)]
    caption = "Every target: the likeliest best arm, its probability, what it gains, and how many arms may be the best"
    return tag("div", tag("p", sentence, class_="verdict"), table(caption, head, body, class_="glance"))


def _row(index: int, answer: TargetAnswer, known: str) -> Markup:
    name = tag("th", tag("a", breakable(answer.label), href=f"#target-{index}"), scope="row")
    kind = known.replace(" ", "-")
    first = leader(answer) if known in ("decided", "open") else None
    if first is None:
        empty = [tag("td", NOTHING, class_="number") for _ in range(4)]
        return tag("tr", name, tag("td", known, class_=f"state {kind}"), tag("td", NOTHING), empty)
    label = prose(arm_names(answer.arms)[answer.arms.index(first)])
    gain = "" if first.intermediate == "none" else points(first.gain)
    sure = tag("td", probability(first.p_best), class_="prob number", style=f"--p:{100 * (first.p_best or 0):.0f}%")
    return tag(
        "tr", name, tag("td", known, class_=f"state {kind}"), tag("td", breakable(label)), sure,
        tag("td", gain, class_="number strong" if first.certain else "number"),
        tag("td", interval(first.gain_low, first.gain_high), class_="number"),
        tag("td", len(answer.best), class_="number"),
    )  # fmt: skip

