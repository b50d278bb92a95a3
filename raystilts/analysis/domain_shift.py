"""How far the texts of intermediates are from those of targets, and whether gains follow that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raystilts.analysis.alignment_effect import Effect, effect_lines, effects
from raystilts.analysis.domain_distances import (
    coral_distance,
    jensen_shannon,
    mmd,
    proxy_a_distance,
    squared_mmd,
    subword_counts,
)
from raystilts.analysis.inference import LEAST_INTERMEDIATES, LEVEL, Relation, holm, qap
from raystilts.analysis.presentation import Row, name_points, p_text, panels, points, save, style, wrap
from raystilts.analysis.reading import Overlaps
from raystilts.planning.data import data_folder
from raystilts.planning.encoders import fetch_encoder
from raystilts.results.baseline import NONE
from raystilts.results.results import Results
from raystilts.results.stratum import Stratum
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Ragged
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.tasks.texts import item_texts, spread_sample
from raystilts.training.embeddings import language_offsets, mean_states, text_ids

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from raystilts.training.encoder import Pretrained


Matrix = NDArray[np.float64]
#: The distances, by the name of their field in `Shift`, and what people call them.
DISTANCES = {"a_distance": "A-distance", "mmd": "MMD^2", "coral": "CORAL", "subwords": "JS sub-words"}


@dataclass(frozen=True, slots=True)
class Shift:
    """The distance of one pair of data sets.

    Attributes:
        texts: Texts of the intermediate; `target_texts` those of the target, in `languages`.
        a_distance: Proxy A-distance, 0 (alike) to 2.
        mmd: Unbiased MMD^2.
        mmd_p: Of no difference between the English texts alone, by permutation: a language's zero point is an estimate
            too, which a test over all languages would take for a difference. None without English texts.
        coral: CORAL distance.
        subwords: Jensen-Shannon divergence of sub-words of the English texts, 0 to 1; None without English texts.
        gain: Mean score over that of `none`; None where there is none, or the arm trains on the target's own data.
    """

    intermediate: str
    target: str
    texts: int
    target_texts: int
    languages: tuple[str, ...]
    a_distance: float
    mmd: float
    mmd_p: float | None
    coral: float
    subwords: float | None
    gain: float | None = None


@dataclass(frozen=True, slots=True)
class Association:
    """How gains go with one distance; no relation where there are too few intermediates."""

    distance: str
    relation: Relation | None
    p_holm: float | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """A data set in the encoder's space.

    Attributes:
        embeddings: By language, [texts, hidden].
        ids: Sub-words of the English texts; None without.
    """

    embeddings: dict[str, Matrix]
    ids: Ragged | None

    def centred(self, offsets: Mapping[str, Matrix]) -> tuple[Matrix, tuple[str, ...]]:
        """All languages that have a zero point, moved to the English one."""
        known = tuple(code for code in self.embeddings if code in offsets)
        return np.concatenate([self.embeddings[code] - offsets[code] for code in known]), known


@dataclass(frozen=True, slots=True)
class DomainAnswer:
    """What was found.

    Attributes:
        left_out: Targets whose languages have no zero point.
        baseline: What the arm `none` is called.
    """

    shifts: tuple[Shift, ...]
    associations: tuple[Association, ...]
    effects: tuple[Effect, ...]
    left_out: tuple[str, ...]
    baseline: str = NONE


def answer(study: Study, results: Results | None, texts: int, permutations: int) -> DomainAnswer:
    """Distances of a study's data sets, and with results their relation to gains and the effect of alignment."""
    from raystilts.training.encoder import pretrained

    loaded = pretrained(fetch_encoder(study.encoder))
    shifts, left_out = study_shifts(study, loaded, data_folder(study), texts, permutations)
    strata: list[Stratum] = []
    if results is not None:
        strata, tasks = [s for s in results.strata("test") if np.isfinite(s.scores).any()], results.tasks()
        shifts = [_with_gain(one, strata, study, tasks.overlaps) for one in shifts]
    arms, fraction = study.intermediates, study.compared_fraction
    return DomainAnswer(
        tuple(shifts),
        tuple(associations(shifts)),
        tuple(effects(arms, strata, fraction)),
        left_out,
        NONE if results is None else results.baseline,
    )


def _with_gain(one: Shift, strata: Sequence[Stratum], study: Study, overlaps: Overlaps) -> Shift:
    """The shift with the mean gain of its pair, at the largest target fraction."""
    plain = {a.tasks[0]: a.label for a in study.intermediates if len(a.tasks) == 1 and not a.align and not a.masked_lm}
    if overlaps(one.intermediate, one.target) or one.intermediate == one.target:
        return one
    mine = [stratum for stratum in strata if stratum.target == one.target]
    for stratum in sorted(mine, key=lambda s: -(s.target_fraction or 1.0))[:1]:
        wanted = (plain.get(one.intermediate), study.compared_fraction)
        for i, arm in enumerate(stratum.arms):
            own, none = stratum.scores[i], stratum.scores[stratum.baseline_of(i)]
            known = np.isfinite(own).any() and np.isfinite(none).any()
            if (arm.intermediate, arm.intermediate_fraction) == wanted and known:
                return replace(one, gain=float(np.nanmean(own) - np.nanmean(none)))
    return one


def study_shifts(
    study: Study, loaded: Pretrained, folder: Path | None, count: int, permutations: int = 999
) -> tuple[list[Shift], tuple[str, ...]]:
    """The distances of every single-task intermediate from every target of a study, and targets left out.

    Targets without English texts have no zero point of their languages, unless others have these beside English.
    """
    import torch

    names = tuple(dict.fromkeys(arm.tasks[0] for arm in study.intermediates if len(arm.tasks) == 1))
    targets = {t.task: t.languages or get_task(t.task).languages for t in study.targets}
    model = loaded.restore(None, torch.device("cpu"))
    layer = study.encoder.sentence_layer(loaded.layers)
    sources = {n: embed(loaded, model, domain_texts(get_task(n), (), count, folder), layer) for n in names}
    aims = {
        name: embed(loaded, model, domain_texts(get_task(name), codes, count, folder), layer)
        for name, codes in targets.items()
    }
    offsets = study_offsets({f"intermediate {n}": one for n, one in sources.items()} | aims)
    known = [name for name, one in aims.items() if any(code in offsets for code in one.embeddings)]
    special = tuple(loaded.tokenizer.all_special_ids)
    found = [
        shift((name, aim), sources[name], aims[aim], offsets, special, permutations)
        for aim in known
        for name in names
        if "en" in sources[name].embeddings
    ]
    return found, tuple(name for name in aims if name not in known)


def domain_texts(task: Task, languages: Sequence[str], count: int, folder: Path | None) -> dict[str, list[str]]:
    """Texts of a task by language: English from its training data, the other languages from their test data.

    Args:
        languages: Those wanted beside English, which comes first where the task has any.
        count: Texts of all languages together; each item is taken in one language only.
    """
    others = [code for code in languages if code in task.languages and code != "en"]
    wanted = ["en", *others] if task.train is not None or "en" in task.languages else others
    found = {}
    for part, code in enumerate(wanted):
        english = code == "en" and task.train is not None and task.type.head != "embedding"
        rows = task.load_train(folder) if english else task.load_test(code, folder)
        found[code] = spread_sample(item_texts(task, rows), -(-count // len(wanted)), part, len(wanted))
    return {code: texts for code, texts in found.items() if len(texts) > 1}


def embed(loaded: Pretrained, model: nn.Module, texts: Mapping[str, list[str]], layer: int) -> Embedded:
    """Texts by language in a model's space."""
    ids = {code: text_ids(loaded, own) for code, own in texts.items()}
    pad_id = int(loaded.tokenizer.pad_token_id)
    return Embedded({code: mean_states(model, one, pad_id, layer) for code, one in ids.items()}, ids.get("en"))


def study_offsets(sets: Mapping[str, Embedded]) -> dict[str, Matrix]:
    """What each language adds in a study's data sets; see `language_offsets`."""
    means = {(name, code): one.mean(axis=0) for name, own in sets.items() for code, one in own.embeddings.items()}
    return language_offsets(means)


def shift(
    names: tuple[str, str],
    own: Embedded,
    other: Embedded,
    offsets: Mapping[str, Matrix],
    special: tuple[int, ...],
    permutations: int = 999,
) -> Shift:
    """The distances of an intermediate's texts from a target's."""
    one, _ = own.centred(offsets)
    two, languages = other.centred(offsets)
    english = [side.embeddings.get("en") for side in (own, other)]
    tested = None if english[0] is None or english[1] is None else mmd(english[0], english[1], permutations)
    return Shift(
        intermediate=names[0],
        target=names[1],
        texts=len(one),
        target_texts=len(two),
        languages=languages,
        a_distance=proxy_a_distance(one, two),
        mmd=squared_mmd(one, two),
        mmd_p=None if tested is None else tested.p,
        coral=coral_distance(one, two),
        subwords=_divergence(own.ids, other.ids, special),
    )  # fmt: skip


def _divergence(one: Ragged | None, other: Ragged | None, special: tuple[int, ...]) -> float | None:
    """Of equally many sub-words of each: small samples have less in common."""
    if one is None or other is None:
        return None
    values = [np.asarray(ids.values)[~np.isin(ids.values, special)] for ids in (one, other)]
    size = min(len(value) for value in values)
    cut = [Ragged(value[:size], np.array([0, size])) for value in values]
    vocabulary = 1 + int(max(value.max() for value in values))
    counts = [subword_counts(ids, vocabulary, ()) for ids in cut]
    return jensen_shannon(*counts)


def associations(shifts: Sequence[Shift]) -> list[Association]:
    """The relation of gains to each distance, within targets, Holm-adjusted over the distances."""
    sources = list(dict.fromkeys(one.intermediate for one in shifts))
    targets = list(dict.fromkeys(one.target for one in shifts))

    def table(field: str) -> Matrix:
        filled = np.full((len(sources), len(targets)), np.nan)
        for one in shifts:
            value = getattr(one, field)
            filled[sources.index(one.intermediate), targets.index(one.target)] = np.nan if value is None else value
        return filled

    gains = table("gain")
    found: list[Relation | None] = []
    for name in DISTANCES:
        distances = table(name)
        enough = (np.isfinite(distances) & np.isfinite(gains)).any(axis=1).sum() >= LEAST_INTERMEDIATES
        found.append(qap(distances, gains) if enough else None)
    adjusted = holm([np.nan if one is None else one.p for one in found])
    return [
        Association(name, one, None if one is None else float(p))
        for name, one, p in zip(DISTANCES, found, adjusted, strict=True)
    ]


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
        f"of the English texts, 0 to 1; gain in points over {found.baseline}. Languages are moved to English's zero "
        "point first."
    )
    lines += ["", *_relations(found)]
    if found.effects:
        lines += ["", *effect_lines(found.effects)]
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
        axis.set_ylabel(f"gain over {found.baseline} in points" if gains else "", fontsize=7)
        axis.tick_params(labelsize=6)
    save(figure, path, answer_rows(found)["shifts"])
