"""Bitext mining as in BUCC 2018: find the translations in two collections of sentences.

Margin mining of Artetxe and Schwenk (2019, arXiv 1811.01136) as XTREME uses it. Compared with
third_party/utils_retrieve.py of google-research/xtreme@838c13b, its faiss index replaced by an
exact search in numpy, on 200 random pairs of collections of 5 to 120 sentences, some of them
repeated: the same pairs, scores within 2e-10; thresholds (in the 156 cases where the script does
not stop with an error) within 1e-10, and the same F1.

Three differences. Ties go to the lower source, then target, not to an unstable sort. The script
stops with an error where the best F1 keeps every pair; here the threshold is then the last score.
A pair whose neighbourhoods have a mean cosine of 0 or less is never mined; the script divides by
it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raystilts.metrics.retrieval import (
    BLOCK,
    Doubles,
    Longs,
    NearestSoFar,
    Neighbours,
    Vectors,
    cosine_blocks,
    searchable,
)

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mined:
    """Candidate translations, best first; a sentence is in one pair at most.

    Attributes:
        source: Row in the source collection, shape [pairs].
        target: Row in the target collection, shape [pairs].
        score: Ratio margin, above 0; 1 is as near as the neighbourhood on average. Shape [pairs].
    """

    source: Longs
    target: Longs
    score: Doubles

    def pairs(self, threshold: float = 0.0) -> set[Pair]:
        """The pairs that score `threshold` or more."""
        keep = self.score >= threshold
        return set(zip(self.source[keep].tolist(), self.target[keep].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class MiningScore:
    """Precision, recall and F1 of mined pairs, each 0..1; all 0 where no pair is right."""

    precision: float
    recall: float
    f1: float


def mine(source_vectors: Vectors, target_vectors: Vectors, k: int = 4, block: int = BLOCK) -> Mined:
    """Pairs sentences one to one by ratio margin.

    The margin of a pair is its cosine over the mean of the two sentences' average cosines with
    their k nearest on the other side. Every sentence, on both sides, proposes the best of its k
    nearest; proposals are taken from the highest margin down, as long as both sentences are free.

    Memory: the vectors in float64, k neighbours a sentence, and three blocks of similarities.

    Args:
        source_vectors: Shape [sources, dimensions]; one for each *different* sentence
            (`unique_sentences`).
        target_vectors: Shape [targets, dimensions].
        k: Neighbours on each side.
        block: Rows and columns of the similarity matrix held at a time.

    Returns:
        Pairs with a margin above 0, best first; ties by source, then target.

    Raises:
        ValueError: An empty side, unlike dimensions, values that are not finite, k or block below
            1.
    """
    sources, targets = searchable(source_vectors, target_vectors, block)
    ahead = NearestSoFar(len(sources), len(targets), k, sources.device.type)
    back = NearestSoFar(len(targets), len(sources), k, sources.device.type)
    for row, column, cosines in cosine_blocks(sources, targets, block):
        ahead.keep(row, column, cosines)
        back.keep(column, row, cosines.T)
    forward, backward = ahead.neighbours(), back.neighbours()
    forward_mean, backward_mean = forward.cosine.mean(axis=1), backward.cosine.mean(axis=1)
    target, forward_score = _proposals(forward, forward_mean, backward_mean)
    source, backward_score = _proposals(backward, backward_mean, forward_mean)
    return _one_to_one(
        np.concatenate([np.arange(len(sources)), source]),
        np.concatenate([target, np.arange(len(targets))]),
        np.concatenate([forward_score, backward_score]),
    )


def best_threshold(mined: Mined, gold: Collection[Pair]) -> float:
    """The threshold that gives the highest F1 on these gold pairs; of several, the highest.

    Choose it on the dev gold and use it on the test pairs: F1 on the data it was chosen on is
    optimistic.

    Args:
        mined: Candidates, best first.
        gold: True pairs of rows, at least one.

    Returns:
        Half-way between the last score kept and the next; the last score itself where all pairs
        are kept; 0.0 where no candidate is right (as in XTREME's script).

    Raises:
        ValueError: There is no gold pair.
    """
    wanted = _require_gold(gold)
    candidates = zip(mined.source.tolist(), mined.target.tolist(), strict=True)
    right = np.cumsum([pair in wanted for pair in candidates], dtype=np.int64)
    if not len(right) or not right[-1]:
        return 0.0
    kept = np.arange(1, len(right) + 1)
    # A threshold cannot cut between equal scores.
    cuts = np.append(mined.score[1:] != mined.score[:-1], True)
    f1 = np.where(cuts, 2 * right / (kept + len(wanted)), -1.0)
    last = int(np.argmax(f1))
    score = float(mined.score[last])
    if last + 1 == len(right):
        return score
    following = float(mined.score[last + 1])
    between = (score + following) / 2
    return between if between > following else score


def score_pairs(found: Collection[Pair], gold: Collection[Pair]) -> MiningScore:
    """Precision, recall and F1 of pairs against the gold.

    Args:
        found: Mined pairs, `Mined.pairs` at a threshold.
        gold: True pairs, at least one.

    Raises:
        ValueError: There is no gold pair.
    """
    wanted, given = _require_gold(gold), set(found)
    right = len(wanted & given)
    if not right:
        return MiningScore(0.0, 0.0, 0.0)
    f1 = 2 * right / (len(given) + len(wanted))
    return MiningScore(right / len(given), right / len(wanted), f1)


def unique_sentences(sentences: Sequence[str]) -> tuple[Longs, NDArray[np.bool_]]:
    """Which rows to mine, and which rows of the gold cannot be told apart.

    XTREME searches among different sentences only (the same sentence twice would fill the
    neighbourhood) and then drops pairs that hold a sentence occurring more than once, as its id is
    ambiguous. Gold pairs with such a sentence stay in the gold: they count as missed.

    Args:
        sentences: One collection; white space at the ends is ignored.

    Returns:
        The row where each different sentence occurs first, ascending, shape [different]; and for
        each of these whether it occurs again, same shape.
    """
    first: dict[str, int] = {}
    again: set[int] = set()
    for row, sentence in enumerate(sentences):
        seen = first.setdefault(sentence.strip(), row)
        if seen != row:
            again.add(seen)
    rows = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    return rows, np.isin(rows, np.fromiter(again, dtype=np.int64, count=len(again)))


def to_rows(
    mined: Mined,
    source: tuple[Longs, NDArray[np.bool_]],
    target: tuple[Longs, NDArray[np.bool_]],
) -> Mined:
    """Mined pairs as rows of the collections, without sentences that occur again.

    Args:
        mined: What `mine` found among the vectors at ``unique_sentences(...)[0]`` of both sides.
        source: What `unique_sentences` returned for the source collection.
        target: The same for the target collection.
    """
    keep = ~(source[1][mined.source] | target[1][mined.target])
    return Mined(source[0][mined.source[keep]], target[0][mined.target[keep]], mined.score[keep])


def _proposals(near: Neighbours, own_mean: Doubles, other_mean: Doubles) -> tuple[Longs, Doubles]:
    """For each row the neighbour with the highest margin, and that margin (0: undefined)."""
    scale = (own_mean[:, None] + other_mean[near.index]) / 2
    margins = np.where(scale > 0, near.cosine / np.where(scale > 0, scale, 1.0), 0.0)
    best = margins.argmax(axis=1)[:, None]
    return (
        np.take_along_axis(near.index, best, axis=1)[:, 0],
        np.take_along_axis(margins, best, axis=1)[:, 0],
    )


def _one_to_one(source: Longs, target: Longs, score: Doubles) -> Mined:
    """Takes pairs from the highest score down while both sentences are free."""
    free_source = np.ones(source.max() + 1, dtype=np.bool_)
    free_target = np.ones(target.max() + 1, dtype=np.bool_)
    taken = []
    for i in np.lexsort((target, source, -score)):
        if score[i] <= 0:
            break
        if free_source[source[i]] and free_target[target[i]]:
            free_source[source[i]] = free_target[target[i]] = False
            taken.append(i)
    chosen = np.array(taken, dtype=np.int64)
    return Mined(source[chosen], target[chosen], score[chosen])


def _require_gold(gold: Collection[Pair]) -> set[Pair]:
    if not gold:
        raise ValueError("no gold pairs: mining cannot be scored without any")
    return set(gold)
