"""Gains against distances between languages, as text, rows and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raystilts.analysis.correlation import RankCorrelation
from raystilts.analysis.families import family_of
from raystilts.analysis.similarity import BASELINE, LEAST_FAMILIES, LEAST_LANGUAGES, Relation, Similarity
from raystilts.report.analysis.figures import panels, save
from raystilts.report.analysis.table_rows import Row, p_text
from raystilts.report.tables import wrap

LEVEL = 0.05


def similarity_text(found: Similarity) -> str:
    """The correlations and what follows, in 80 columns."""
    lines = wrap(
        f"{len(found.gains)} languages; gains are means over {', '.join(found.targets)} after {', '.join(found.arms)}, "
        "each task centred on its own mean"
    )
    head = f"  {'distance':<20} {'n':>3} {'rho':>6} {'95 % interval':>15} {'p':>7}"
    lines.append(f"{head} {'p (Holm)':>8} {'families':>13}")
    for one in found.relations:
        lines.append(_line(one))
        if one.partial is not None:
            lines.append(_detail("control held constant", one.partial))
    for name, number in found.left_out.items():
        lines += wrap(f"{name}: known for {number} languages only, {LEAST_LANGUAGES} are needed", "  ")
    lines += ["", *wrap(verdict(found))]
    for note in found.notes:
        lines += wrap(f"note: {note}", "  ")
    return "\n".join(lines) + "\n"


def _line(one: Relation) -> str:
    plain = one.plain
    star = "*" if one.p_holm < LEVEL else " "
    over = one.families
    families = f"{one.number_families} only" if over is None else f"{over.rho:+.2f} p={over.p:.2f}"
    row = f"{star} {one.predictor[:20]:<20} {plain.number:>3} {plain.rho:>+6.2f} {_interval(plain):>15}"
    return f"{row} {p_text(plain.p):>7} {p_text(one.p_holm):>8} {families:>13}"


def _detail(name: str, one: RankCorrelation) -> str:
    return f"    {name:<18} {one.number:>3} {one.rho:>+6.2f} {_interval(one):>15} {p_text(one.p):>7}"


def _interval(one: RankCorrelation) -> str:
    return f"[{one.low:+.2f}, {one.high:+.2f}]"


def verdict(found: Similarity) -> str:
    """What follows, in words."""
    sure = [one for one in found.relations if one.p_holm < LEVEL]
    if not sure:
        widest = max(found.relations, key=lambda one: one.plain.high - one.plain.low).plain
        return (
            f"No distance is told apart from chance. That is no proof of none: correlations up to about "
            f"{max(abs(widest.low), abs(widest.high)):.2f} fit these data."
        )
    parts = []
    for one in sure:
        also = []
        if one.families is not None:
            also.append("holds over families" if one.families.p < LEVEL else "is not seen over families")
        elif one.number_families < LEAST_FAMILIES:
            also.append(f"cannot be tested over {one.number_families} families")
        if one.partial is not None:
            also.append("holds with the control" if one.partial.p < LEVEL else "is not seen with the control")
        parts.append(f"{one.predictor} (rho {one.plain.rho:+.2f}{'; ' if also else ''}{'; '.join(also)})")
    return (
        f"Told apart from chance: {', '.join(parts)}. A negative rho says that gains fall with distance. Related "
        "languages are no independent witnesses: trust what holds over families too."
    )


def similarity_json(found: Similarity) -> list[dict[str, Any]]:
    """An object a predictor."""
    return [
        {
            "predictor": one.predictor,
            **_numbers("", one.plain),
            "p_holm": one.p_holm,
            **_numbers("partial_", one.partial),
            **_numbers("families_", one.families),
            "languages": list(one.languages),
        }
        for one in found.relations
    ]


def _numbers(prefix: str, one: RankCorrelation | None) -> Row:
    names = ("rho", "low", "high", "p", "number")
    return {f"{prefix}{name}": None if one is None else getattr(one, name) for name in names}


def language_rows(found: Similarity, predictors: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """A row a language: its gain, its family, and every predictor."""
    return [
        {"language": language, "family": family_of(language), "gain": gain}
        | {name: values.get(language) for name, values in predictors.items()}
        for language, gain in found.gains.items()
    ]


def plot_similarity(found: Similarity, predictors: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """A panel a predictor; each language stands as its code."""
    shown = [one for one in found.relations if one.predictor in predictors]
    figure, axes = panels(len(shown), width=3.2, height=2.8)
    for axis, one in zip(axes, shown, strict=True):
        for language in one.languages:
            x, y = predictors[one.predictor][language], 100 * found.gains[language]
            axis.plot(x, y, ".", color="0.7", markersize=2)
            axis.annotate(language, (x, y), fontsize=6, ha="center", va="center")
        axis.axhline(0, color="0.6", linewidth=0.8)
        axis.set_title(f"{one.predictor}: rho {one.plain.rho:+.2f} {_interval(one.plain)}", fontsize=8)
        axis.set_xlabel(one.predictor if one.predictor == BASELINE else "distance from English", fontsize=7)
        axis.set_ylabel("task-centred gain x 100", fontsize=7)
    save(figure, path, language_rows(found, predictors))
