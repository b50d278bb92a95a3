"""How much of a target's scores is the luck of its items: from scores of single items, else from their number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from raystilts.ranking.intervals import FloatArray, Mask
from raystilts.ranking.items import binomial_noise, item_noise
from raystilts.results.items import ItemSet
from raystilts.results.stratum import Arm, Stratum, scores_of

#: The stage behind each score: of a target and its fraction, by arm, seed and language.
Stages = Mapping[tuple[str, float | None], Mapping[tuple[Arm, int | None, str], str]]


class Count(NamedTuple):
    """How many items are behind a score, and whether nothing is trained on the target (retrieval)."""

    items: int
    untrained: bool


#: By target, its fraction and language.
Counts = Mapping[tuple[str, float | None, str], Count]


@dataclass(frozen=True, slots=True, eq=False)
class ItemLuck:
    """The luck of the items of one target.

    Attributes:
        variances: ``[arms]``, variance of an arm's score by its items, without what all arms share.
        measured: Whether it is from scores of single items; else it is estimated from their number.
        items: Items behind a score.
        split: Which data.
    """

    variances: FloatArray
    measured: bool
    items: int
    split: str

    @property
    def points(self) -> float:
        """Standard error of an arm's score by its items, in points; the median arm's."""
        known = self.variances[~np.isnan(self.variances)]
        return 100 * float(np.sqrt(np.median(known))) if len(known) else 0.0

    def note(self) -> str:
        """What a reader is told."""
        what = f"the luck of the {self.items} {self.split} items, {self.points:.1f} points for an arm, is in the answer"
        if self.measured:
            return f"{what}: measured item by item"
        kept = "dev" if self.split == "dev" else "all"
        return f"{what}: estimated from their number; predictions: {kept} in the study measures it"


class KnownItems:
    """What a results folder knows of one split's items.

    Args:
        sets: Scores of single items.
        stages: The stage behind each score.
        counts: Items behind each score.
    """

    def __init__(self, sets: Iterable[ItemSet], stages: Stages, counts: Counts) -> None:
        self._stages, self._counts = stages, counts
        self._of_stage: dict[tuple[str, str, str], ItemSet] = {}
        self._of_run: dict[tuple[str, str, int | None, str], ItemSet] = {}
        self._targets: set[tuple[str, str]] = set()
        for one in sets:
            self._targets.add((one.target, one.language))
            if one.stage:
                self._of_stage[one.stage, one.target, one.language] = one
            else:
                self._of_run[one.intermediate, one.target, one.seed, one.language] = one

    def luck(self, stratum: Stratum, language: str | None) -> ItemLuck | None:
        """That of one target, in one language or the mean over its languages; None where nothing is known."""
        names = list(stratum.languages) if language is None else [language]
        tables = [self.table(stratum, name) for name in names]
        known = [table for table in tables if table is not None]
        if known and len(known) == len(names):
            items = sum(table.shape[2] for table in known)
            return ItemLuck(_noise(known, stratum.deterministic), True, items, stratum.split)
        counts = [self._counts.get((stratum.target, stratum.target_fraction, name), Count(0, False)) for name in names]
        if not all(count.items for count in counts):
            return None
        items = sum(count.items for count in counts)
        scores = scores_of(stratum, language)
        present = np.isfinite(scores).any(axis=1)
        means = np.full(len(scores), np.nan)
        means[present] = np.nanmean(scores[present], axis=1)
        unseen = np.ones_like(stratum.deterministic) if counts[0].untrained else stratum.deterministic
        return ItemLuck(binomial_noise(means, items, unseen), False, items, stratum.split)

    def table(self, stratum: Stratum, language: str) -> FloatArray | None:
        """``[arms, seeds, items]``, nan for runs without scores of these items; None where fewer than two arms have."""
        if (stratum.target, language) not in self._targets:
            return None
        stages = self._stages.get((stratum.target, stratum.target_fraction), {})
        found: dict[tuple[int, int], ItemSet] = {}
        for row, column in zip(*np.nonzero(np.isfinite(stratum.scores)), strict=True):
            arm, seed = stratum.arms[row], stratum.seeds[column]
            if stratum.deterministic[row]:
                if column:
                    continue
                seed = None
            stage = stages.get((arm, seed, language), "")
            one = self._of_stage.get((stage, stratum.target, language))
            one = one or self._of_run.get((arm.intermediate, stratum.target, seed, language))
            if one is not None and len(one.values) > 1:
                found[int(row), int(column)] = one
        if len({row for row, _ in found}) < 2:
            return None
        [(same, _)] = Counter((one.data, len(one.values)) for one in found.values()).most_common(1)
        table = np.full((*stratum.scores.shape, same[1]), np.nan)
        for (row, column), one in found.items():
            if (one.data, len(one.values)) == same:
                table[row, column] = one.values
        return table


def _noise(tables: Sequence[FloatArray], deterministic: Mask) -> FloatArray:
    """``[arms]``, of the mean over languages.

    Where languages have equally many items, these may be translations of each other: the n-th items of all languages
    vary together. Else languages vary on their own.
    """
    if len({table.shape[2] for table in tables}) == 1:
        return item_noise(np.mean(tables, axis=0), deterministic=deterministic).variances
    variances = [item_noise(table, deterministic=deterministic).variances for table in tables]
    return np.asarray(sum(variances) / len(tables) ** 2)


def stages_of(rows: Iterable[tuple[str, float | None, str, float | None, str, int | None, str, str]]) -> Stages:
    """From rows of target, its fraction, intermediate, its fraction, hyperparameters, seed, language and stage."""
    found: dict[tuple[str, float | None], dict[tuple[Arm, int | None, str], str]] = defaultdict(dict)
    for target, share, intermediate, fraction, hyperparameters, seed, language, stage in rows:
        found[target, share][Arm(intermediate, fraction, hyperparameters), seed, language] = stage
    return found
