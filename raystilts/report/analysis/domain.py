"""The answer of `analyze domain-shift`: tables, what follows in words, rows and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from raystilts.analysis.alignment_effect import Effect, effects
from raystilts.analysis.domain_shift import DISTANCES, Association, Shift, associations, study_shifts
from raystilts.analysis.qap import LEAST_INTERMEDIATES
from raystilts.report.analysis.figures import name_points, panels, save, style
from raystilts.report.analysis.table_rows import Row, bounds, p_text, points
from raystilts.report.answers import Results
from raystilts.report.notes import overlaps
from raystilts.report.tables import wrap
from raystilts.results.strata import Stratum
from raystilts.study.data import data_folder
from raystilts.study.encoders import fetch_encoder
from raystilts.study.schema import Study

#: A relation or effect below this adjusted p is called one.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class DomainAnswer:
    """What was found.

    Attributes:
        left_out: Targets whose languages have no zero point.
    """

    shifts: tuple[Shift, ...]
    associations: tuple[Association, ...]
    effects: tuple[Effect, ...]
    left_out: tuple[str, ...]


def answer(study: Study, results: Results | None, texts: int, permutations: int) -> DomainAnswer:
    """Distances of a study's data sets, and with results their relation to gains and the effect of alignment."""
    from raystilts.training.encoder import pretrained

    loaded = pretrained(fetch_encoder(study.encoder))
    shifts, left_out = study_shifts(study, loaded, data_folder(study), texts, permutations)
    strata = [] if results is None else [s for s in results.strata("test") if np.isfinite(s.scores).any()]
    shifts = [_with_gain(one, strata, study) for one in shifts]
    arms, fraction = study.intermediates, study.compared_fraction
    return DomainAnswer(
        tuple(shifts), tuple(associations(shifts)), tuple(effects(arms, strata, fraction)), left_out
    )  # fmt: skip


def _with_gain(one: Shift, strata: Sequence[Stratum], study: Study) -> Shift:
    """The shift with the mean gain of its pair, at the largest target fraction."""
    plain = {a.tasks[0]: a.label for a in study.intermediates if len(a.tasks) == 1 and not a.align and not a.masked_lm}
    if overlaps(one.intermediate, one.target, study) or one.intermediate == one.target:
        return one
    mine = [stratum for stratum in strata if stratum.target == one.target]
    for stratum in sorted(mine, key=lambda s: -(s.target_fraction or 1.0))[:1]:
        wanted = (plain.get(one.intermediate), study.compared_fraction)
        for i, arm in enumerate(stratum.arms):
            own, none = stratum.scores[i], stratum.scores[0]
            known = np.isfinite(own).any() and np.isfinite(none).any()
            if (arm.intermediate, arm.intermediate_fraction) == wanted and known:
                return replace(one, gain=float(np.nanmean(own) - np.nanmean(none)))
    return one


def answer_text(found: DomainAnswer) -> str:
    """Tables in 80 columns, with what follows in words."""
    lines: list[str] = []
    for target in dict.fromkeys(one.target for one in found.shifts):
        mine = sorted((one for one in found.shifts if one.target == target), key=lambda one: one.a_distance)
        lines += wrap(f"{target}: {mine[0].target_texts} texts in {' '.join(mine[0].languages)}")
        lines.append(f"  {'intermediate':<20} {'A-dist':>7} {'MMD^2':>8} {'p':>7} {'CORAL':>9} {'JS':>6} {'gain':>7}")
        lines += [_line(one) for one in mine]
        lines.append("")
    lines += wrap(
        "A-dist: 0 alike, 2 told apart without error; p: of no difference of the English texts, by MMD; JS: sub-words "
        "of the English texts, 0 to 1; gain in points over none. Languages are moved to English's zero point first."
    )
    lines += ["", *_relations(found)]
    if found.effects:
        lines += ["", *_effects(found.effects)]
    if found.left_out:
        names = ", ".join(found.left_out)
        lines += wrap(f"note: {names}: no English texts, so that language and domain cannot be told apart; left out")
    return "\n".join(lines) + "\n"


def _line(one: Shift) -> str:
    js = "-" if one.subwords is None else f"{one.subwords:.3f}"
    return (
        f"  {one.intermediate:<20} {one.a_distance:>7.2f} {one.mmd:>8.4f} {p_text(one.mmd_p):>7} {one.coral:>9.2e} "
        f"{js:>6} {points(one.gain):>7}"
    ).rstrip()


def _relations(found: DomainAnswer) -> list[str]:
    with_gain = {one.intermediate for one in found.shifts if one.gain is not None}
    if not any(one.relation for one in found.associations):
        return wrap(
            f"Whether gains follow distance: not answered. {len(with_gain)} intermediates have both; below "
            f"{LEAST_INTERMEDIATES} a relation over pairs is chance."
        )
    lines = ["Gain and distance, ranked within targets; intermediates permuted as wholes:"]
    lines.append(f"  {'distance':<20} {'rho':>6} {'p':>7} {'Holm':>7} {'pairs':>6}")
    for one in found.associations:
        if one.relation is not None:
            rho, p = one.relation.rho, p_text(one.relation.p)
            lines.append(
                f"  {DISTANCES[one.distance]:<20} {rho:>+6.2f} {p:>7} {p_text(one.p_holm):>7} {one.relation.pairs:>6}"
            )
    sure = [a for a in found.associations if a.relation and a.p_holm is not None and a.p_holm < LEVEL]
    words = [f"{DISTANCES[a.distance]} ({'closer' if a.relation and a.relation.rho < 0 else 'farther'} is better)"
             for a in sure]  # fmt: skip
    said = f"Gains follow {', '.join(words)}." if sure else "No distance is told apart from no relation to gains."
    return lines + wrap(f"{said} A relation is not a cause.", "  ")


def _effects(found: Sequence[Effect]) -> list[str]:
    lines = ["Alignment: points over the same arm without, paired over seeds:"]
    for arm in dict.fromkeys(one.arm for one in found):
        lines.append(f"  {arm}")
        for one in (one for one in found if one.arm == arm):
            star = "*" if one.p_holm is not None and one.p_holm < LEVEL else " "
            own = " (its domain)" if one.target == one.domain else ""
            lines.append(
                f"  {star} {one.target + own:<26} {points(one.difference, 6)} {bounds(one.low, one.high):>15} "
                f"{p_text(one.p_holm):>7} {one.seeds:>3} seeds"
            )
    sure = sum(one.p_holm is not None and one.p_holm < LEVEL for one in found)
    return lines + wrap(
        f"* told apart from zero by Holm's p over all {len(found)}: {sure} of them. Intervals are of one each.", "  "
    )


def answer_rows(found: DomainAnswer) -> dict[str, list[Row]]:
    """The tables as rows: `shifts`, `associations`, `alignment`."""
    shifts = [asdict(one) | {"languages": " ".join(one.languages)} for one in found.shifts]
    relations = [
        {"distance": a.distance, **(asdict(a.relation) if a.relation else {}), "p_holm": a.p_holm}
        for a in found.associations
    ]
    return {"shifts": shifts, "associations": relations, "alignment": [asdict(one) for one in found.effects]}


def plot_shifts(found: DomainAnswer, path: Path) -> None:
    """Gain against proxy A-distance, a panel a target; where there are no gains, the distances alone."""
    targets = list(dict.fromkeys(one.target for one in found.shifts))
    figure, axes = panels(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        mine = sorted((one for one in found.shifts if one.target == target), key=lambda one: one.intermediate)
        heights = [float(i) if one.gain is None else 100 * one.gain for i, one in enumerate(mine)]
        for index, (one, height) in enumerate(zip(mine, heights, strict=True)):
            look = style(index)
            axis.plot(one.a_distance, height, look["marker"], color=look["color"], markersize=5)
        name_points(axis, [(one.a_distance, y, one.intermediate) for one, y in zip(mine, heights, strict=True)])
        axis.set_title(target, fontsize=8, loc="left")
        axis.set_xlabel("proxy A-distance", fontsize=7)
        gains = any(one.gain is not None for one in mine)
        axis.set_ylabel("gain over none in points" if gains else "", fontsize=7)
        axis.tick_params(labelsize=6)
    save(figure, path, answer_rows(found)["shifts"])
