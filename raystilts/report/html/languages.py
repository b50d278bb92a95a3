"""The same answers in each language: who leads where, and every gain."""

from __future__ import annotations

from raystilts.report.arms import ArmAnswer, TargetAnswer
from raystilts.report.html.formats import NOTHING, points, probability, score
from raystilts.report.html.gather import ReportData, arm_names, target_name
from raystilts.report.html.markup import Markup, breakable, join, tag
from raystilts.report.html.matrix import gain_class, gain_text
from raystilts.report.html.tables import table
from raystilts.report.html.words import leader


def languages_section(data: ReportData) -> Markup | None:
    """A language a row, a target a column: the leading arm; None where there is only one language."""
    if len(data.by_language) < 2:
        return None
    columns = [target_name(answer) for answer in data.answers]
    body = []
    for language, answers in data.by_language.items():
        found = {target_name(answer): answer for answer in answers}
        cells = [_leading(found.get(name)) for name in columns]
        body.append(tag("tr", tag("th", language, scope="row"), cells))
    head = tag("tr", tag("th", "language", scope="col"), [tag("th", breakable(name), scope="col") for name in columns])
    caption = "The likeliest best arm in each language, its P(best), its gain over none, and how many others remain"
    shown = table(caption, head, body, class_="leaders")
    said = "All gains by language are under each target."
    if any(arm.selection == "en_dev" for answer in data.answers for arm in answer.arms):
        said = f"Where English dev data choose, the choice is the same in every language; the gains differ. {said}"
    return tag("section", tag("h2", "Languages"), tag("p", said), shown, id="languages")


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
    what = "Gain over none in points" if data.has_gains else "Mean score"
    caption = f"{what} on {target_name(answer)} by language"
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
