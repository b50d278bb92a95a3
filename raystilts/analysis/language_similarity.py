"""Does the gain follow the distance between languages? Correlations over languages that do not fool their reader.

What fools (measured by simulation, docs/measurements/language_similarity.md): cells of several tasks taken as
independent; related languages, which share both their distance and their gain; the size of the pretraining data,
which goes with both; and the score of `none` as a predictor of gains that were taken over the very same runs of `none`.

Languages are the units, since cells of one language share its noise and its nature: gain[task, language] = task +
language + rest, by least squares. That is the mean of task-centred gains where every task has the same languages, and
does not mistake the easy tasks of some languages for their gain where not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raystilts.analysis.inference import LEVEL, RankCorrelation, holm, partial_spearman, spearman
from raystilts.analysis.language_distances import family_of
from raystilts.analysis.presentation import Row, p_text, panels, save, wrap
from raystilts.analysis.reading import Overlaps
from raystilts.errors import UserError
from raystilts.ranking.intervals import FloatArray
from raystilts.results.stratum import Stratum

#: Below this a partial correlation's error rate is .11 at a nominal .05, and a plain one's interval is 1.2 wide.
LEAST_LANGUAGES = 12
#: With four families or fewer their means can show nothing.
LEAST_FAMILIES = 5
#: The predictor that is the level of `none` itself, from seeds that no gain uses.
BASELINE = "score of none"


@dataclass(frozen=True, slots=True)
class Relation:
    """How the gains go with one distance (or other number a language).

    Attributes:
        plain: Over languages.
        p_holm: Its p-value, adjusted for all predictors that were tried.
        partial: With the control held constant; None without one.
        families: Over the means of language families; None with fewer than five families.
        number_families: How many families there are.
        languages: Those that have both numbers.
    """

    predictor: str
    plain: RankCorrelation
    p_holm: float
    partial: RankCorrelation | None
    families: RankCorrelation | None
    number_families: int
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Similarity:
    """The answer.

    Attributes:
        relations: One a predictor, in the order given.
        left_out: Predictors with too few languages, and how many they have.
        gains: Language to the mean of its task-centred gains, as shares.
        targets: Those with gains, and the arms whose gains were averaged.
        notes: What a reader must be told.
        shared: Distance to language to the number of features that it rests on; empty for a table of the user's own.
    """

    relations: tuple[Relation, ...]
    left_out: dict[str, int]
    gains: dict[str, float]
    targets: tuple[str, ...]
    arms: tuple[str, ...]
    notes: tuple[str, ...]
    shared: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LanguageGains:
    """Task-centred gains by language, and the level of `none` from runs that no gain uses (None without such runs)."""

    gains: dict[str, float]
    level: dict[str, float] | None
    targets: tuple[str, ...]
    arms: tuple[str, ...]
    notes: tuple[str, ...]


def gather_gains(
    strata: Iterable[Stratum],
    overlaps: Overlaps,
    fraction: float | None = None,
    intermediate: str | None = None,
) -> LanguageGains:
    """Means of task-centred gains by language, over targets and arms that do not overlap.

    Where `none` has seeds of its own, every second one of them (of those beyond the arms', if it shares some) is kept
    for its level and is in no gain.

    Args:
        strata: With each language.
        overlaps: Pairs that are left out.
        fraction: The intermediate fraction whose arms count; default each arm's largest.
        intermediate: Only this arm.
    """
    tasks: list[dict[str, float]] = []
    levels: list[dict[str, float]] = []
    targets, arms, spare = [], set(), True
    for stratum in strata:
        rows = _rows(stratum, fraction, intermediate)
        rows = [row for row in rows if not overlaps(stratum.arms[row].intermediate, stratum.target)]
        if not rows or not stratum.has_baseline:
            continue
        kept, level = _split_baseline(stratum)
        spare = spare and (level is not None or bool(stratum.deterministic[0]))
        names = [language for language in stratum.languages if language != "en"]  # which is no transfer
        for row in rows:
            tasks.append({name: _gain(stratum, row, kept, name) for name in names})
            arms.add(stratum.arms[row].intermediate)
        if level is not None:
            levels.append({name: _level(stratum, level, name) for name in names})
        targets.append(stratum.target)
    if not tasks:
        raise UserError("no gains: the results hold no arm and no `none` that scored the same target")
    gains = _effects(tasks)
    return LanguageGains(
        gains=gains,
        level=_effects(levels) if spare and levels else None,
        targets=tuple(dict.fromkeys(targets)),
        arms=tuple(sorted(arms)),
        notes=() if spare else (_SHARED,),
    )


_SHARED = (
    "`none` has no seeds that no gain uses: a lucky `none` lowers every gain in the languages where it was lucky, so "
    "the score of none is not tried as a predictor (it would correlate with gains by -.3 to -.5 where nothing is). "
    "Give the study baseline_seeds beyond its seeds, and run it again"
)


def _rows(stratum: Stratum, fraction: float | None, intermediate: str | None) -> list[int]:
    """Arms that count: at the fraction, or each at its largest."""
    rows: dict[tuple[str, str], int] = {}
    seen = [bool(np.isfinite(scores).any()) for scores in stratum.scores]
    for row, arm in enumerate(stratum.arms):
        if arm.intermediate == "none" or not seen[row] or intermediate not in (None, arm.intermediate):
            continue
        if fraction is not None and arm.intermediate_fraction not in (None, fraction):
            continue
        key = (arm.intermediate, arm.hyperparameters)
        best = rows.get(key)
        if best is None or (stratum.arms[best].intermediate_fraction or 0) < (arm.intermediate_fraction or 0):
            rows[key] = row
    return sorted(rows.values())


def _split_baseline(stratum: Stratum) -> tuple[list[int], list[int] | None]:
    """Columns of the runs of `none` that gains use, and of those that its level uses."""
    seen = np.isfinite(stratum.scores)
    mine = np.flatnonzero(seen[0])
    own = [int(column) for column in mine if not seen[1:, column].any()]
    if stratum.deterministic[0] or not own:
        return mine.tolist(), None
    shared = [int(column) for column in mine if column not in own]
    if shared:
        return shared, own
    return (own[::2], own[1::2]) if len(own) > 1 else (own, None)


def _gain(stratum: Stratum, row: int, kept: Sequence[int], language: str) -> float:
    table = stratum.by_language[:, :, stratum.languages.index(language)]
    base = np.full(table.shape[1], np.nan)
    base[kept] = table[0, kept]
    pair = np.array([base, table[row]])
    both = np.isfinite(pair).all(axis=0)
    if both.any():
        return float(np.mean(pair[1, both] - pair[0, both]))
    return float(np.nanmean(pair[1]) - np.nanmean(pair[0]))


def _level(stratum: Stratum, columns: Sequence[int], language: str) -> float:
    return float(np.nanmean(stratum.by_language[0, columns, stratum.languages.index(language)]))


def _effects(tasks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for task in tasks for name in task})
    table: FloatArray = np.array([[task.get(name, np.nan) for name in names] for task in tasks])
    return {
        name: float(value) for name, value in zip(names, language_effects(table), strict=True) if np.isfinite(value)
    }


def language_effects(gains: npt.ArrayLike) -> FloatArray:
    """The languages' effects.

    Args:
        gains: ``[tasks, languages]``, nan where a task lacks a language.

    Returns:
        ``[languages]``, mean 0 over those with a value; nan for a language without any, and for one whose tasks share
        no language with the rest.
    """
    table = np.asarray(gains, dtype=np.float64)
    effects = np.full(table.shape[1], np.nan)
    seen = np.isfinite(table)
    columns = _largest_part(seen)
    if not columns.size:
        return effects
    rows = np.flatnonzero(seen[:, columns].any(axis=1))
    block, there = table[np.ix_(rows, columns)], seen[np.ix_(rows, columns)]
    task, language = np.nonzero(there)
    design = np.zeros((len(task), len(rows) + len(columns)))
    design[np.arange(len(task)), task] = 1.0
    design[np.arange(len(task)), len(rows) + language] = 1.0
    solution = np.linalg.lstsq(design, block[there], rcond=None)[0][len(rows) :]
    effects[columns] = solution - solution.mean()
    return effects


def _largest_part(seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Languages of the largest set that are connected by tasks that they share."""
    left = set(np.flatnonzero(seen.any(axis=0)).tolist())
    largest: set[int] = set()
    while left:
        part = {left.pop()}
        while True:
            tasks = seen[:, sorted(part)].any(axis=1)
            wider = set(np.flatnonzero(seen[tasks].any(axis=0)).tolist())
            if wider == part:
                break
            part = wider
        left -= part
        largest = max(largest, part, key=len)
    return np.array(sorted(largest), dtype=np.intp)


def group_means(values: npt.ArrayLike, groups: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Names and means of groups of values, in order of name; nan is left out."""
    table = np.asarray(values, dtype=np.float64)
    known = [(group, value) for group, value in zip(groups, table, strict=True) if np.isfinite(value)]
    names = sorted({group for group, _ in known})
    return names, np.array([np.mean([value for group, value in known if group == name]) for name in names])


def relate(
    found: LanguageGains, predictors: Mapping[str, Mapping[str, float]], control: Mapping[str, float] | None = None
) -> Similarity:
    """Correlates the gains with distances.

    Args:
        found: Gains by language.
        predictors: Name to language to value. The level of `none` is added where it is known.
        control: A number a language that is held constant, such as the size of its pretraining data.

    Raises:
        UserError: Fewer than 12 languages have a gain, or no predictor has 12 languages.
    """
    if len(found.gains) < LEAST_LANGUAGES:
        raise UserError(
            f"{len(found.gains)} languages have gains, but {LEAST_LANGUAGES} are needed: with fewer, a correlation "
            "over languages is wide open (at 7 its interval is 1.2 wide) and a partial one finds too much; add "
            "languages to the targets, or targets with other languages"
        )
    tried: dict[str, Mapping[str, float]] = dict(predictors)
    if found.level is not None:
        tried[BASELINE] = found.level
    counts = {name: len(_shared(found.gains, values, control)) for name, values in tried.items()}
    left_out = {name: number for name, number in counts.items() if number < LEAST_LANGUAGES}
    kept = {name: values for name, values in tried.items() if name not in left_out}
    if not kept:
        raise UserError(f"no distance is known for {LEAST_LANGUAGES} of the languages; give --distances FILE")
    relations = [_relation(name, found.gains, values, control) for name, values in kept.items()]
    adjusted = holm([one.plain.p for one in relations])
    return Similarity(
        relations=tuple(replace(one, p_holm=float(p)) for one, p in zip(relations, adjusted, strict=True)),
        left_out=left_out,
        gains=found.gains,
        targets=found.targets,
        arms=found.arms,
        notes=found.notes,
    )


def _relation(
    name: str, gains: Mapping[str, float], values: Mapping[str, float], control: Mapping[str, float] | None
) -> Relation:
    languages = _shared(gains, values, control)
    x = np.array([values[language] for language in languages])
    y = np.array([gains[language] for language in languages])
    groups = [family_of(language) for language in languages]
    names, far = group_means(x, groups)
    _, gained = group_means(y, groups)
    return Relation(
        predictor=name,
        plain=spearman(x, y),
        p_holm=float("nan"),
        partial=partial_spearman(x, y, [control[language] for language in languages]) if control else None,
        families=spearman(far, gained) if len(names) >= LEAST_FAMILIES else None,
        number_families=len(names),
        languages=tuple(languages),
    )


def _shared(gains: Mapping[str, float], values: Mapping[str, float], control: Mapping[str, float] | None) -> list[str]:
    return [name for name in gains if name in values and (control is None or name in control)]


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
        if (part := one.partial) is not None:
            row = f"    {'control held constant':<18} {part.number:>3} {part.rho:>+6.2f} {_interval(part):>15}"
            lines.append(f"{row} {p_text(part.p):>7}")
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
        | {f"{name}_features": counts.get(language) for name, counts in found.shared.items()}
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
