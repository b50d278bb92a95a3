"""How far the texts of intermediates are from those of targets, and whether gains follow that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raystilts.analysis.a_distance import proxy_a_distance
from raystilts.analysis.coral import coral_distance
from raystilts.analysis.embeddings import language_offsets, mean_states, text_ids
from raystilts.analysis.mmd import mmd, squared_mmd
from raystilts.analysis.multiplicity import holm
from raystilts.analysis.qap import LEAST_INTERMEDIATES, Relation, qap
from raystilts.analysis.subword_divergence import jensen_shannon, subword_counts
from raystilts.study.schema import Study
from raystilts.tasks.features import Ragged
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.tasks.texts import item_texts, spread_sample

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
