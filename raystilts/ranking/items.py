"""The noise of the items: what a score would vary by if its test set were drawn again.

Seeds do not see it. Two arms that answer some items by luck, the same way with every seed, look different for good: 500
items carry a standard error of 2 points at a score of 70. With predictions for each item, the runs of a stratum are a
crossed design of arms, seeds and items. An arm's mean over seeds varies from item to item by what is common to all arms
(hard and easy items, which cancels between arms), by the arm's own luck with the item, and by what differs from seed to
seed. The last is in the variance between seeds already, and is taken off (variance components of crossed random
effects, Searle, Casella and McCulloch, 1992; Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007,
for what double counting costs). What is left, over the number of items, is the variance of the arm's score by its
items. It enters the posterior beside the seeds' variance, and so the shrinkage and P(best), for all arms at once.

Items that belong together (the questions of one passage) are one cluster: clusters are what varies then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raystilts.errors import UserError
from raystilts.ranking.intervals import FloatArray, IntArray, Mask, check_mask

#: Without predictions: which share of the binomial variance p(1-p)/n is an arm's luck with its items that neither its
#: seeds show nor all arms share. Measured on real runs (benchmarks/item_share.py; docs/explanation/ranking_method.md):
#: up to .19 for trained targets; .35 to .5 where nothing is trained on the target, and .25 to .6
#: for one run by itself, as arms without seeds are.
SEEN, UNSEEN = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class ItemNoise:
    """How much of each arm's score is the luck of its items.

    Attributes:
        variances: ``[arms]``, variance of the arm's score by its items that no other arm shares; nan for an arm without
            predictions.
        common: Covariance that two arms share on average: it cancels between arms.
        items: Items, or clusters of them.
    """

    variances: FloatArray
    common: float
    items: int


def item_noise(
    scores: npt.ArrayLike, clusters: Sequence[object] | None = None, deterministic: Mask | None = None
) -> ItemNoise:
    """Variance components of a stratum's scores by item.

    What a run differs in from other seeds of its arm is left out, for the seeds show it already; of an arm with one run
    as much as the other arms' runs differ in. An arm without seeds has no such part: all of its luck is the items'.

    Args:
        scores: ``[arms, seeds, items]``, 1 or 0 for right or wrong, or a score of the item in 0..1; nan for a run that
            is missing (in every item).
        clusters: ``[items]``, what the items belong to. Default: every item is on its own.
        deterministic: ``[arms]``, arms without seeds, which have one run. Default: none.

    Raises:
        UserError: Wrong shapes, an item that some run lacks, or fewer than 2 items.
    """
    table = np.array(scores, dtype=np.float64)
    if table.ndim != 3 or table.shape[2] < 2:
        raise UserError(f"scores has shape {table.shape}, but must be [arms, seeds, items] with at least 2 items")
    seen = ~np.isnan(table)
    runs = np.asarray(seen.any(axis=2))
    if (seen.all(axis=2) != runs).any():
        raise UserError("a run lacks predictions of some items; give the items that every run has")
    size = np.ones(table.shape[2])
    if clusters is not None:
        table, size = _by_cluster(table, clusters)
    counts = runs.sum(axis=1)
    number = table.shape[2]
    # deviations weighted so that their mean is that of the items, also where clusters differ in size
    share = size / size.mean()
    means = np.where(runs[:, :, None], table, 0.0).sum(axis=1) / np.maximum(counts, 1)[:, None]
    own = (means - (means * share).mean(axis=1, keepdims=True)) * share
    covariance = own @ own.T / (number - 1) / number
    # an item's scores around the arm's and the run's means: what differs from seed to seed
    rest = np.where(runs[:, :, None], table - means[:, None, :], 0.0)
    rest = (rest - (rest * share).mean(axis=2, keepdims=True)) * share
    residual = (rest**2).sum(axis=(1, 2)) / np.maximum((counts - 1) * (number - 1), 1)
    several = counts > 1
    residual[~several] = residual[several].mean() if several.any() else 0.0
    residual[check_mask(deterministic, len(table), "deterministic", False)] = 0.0
    noise = residual / np.maximum(counts, 1) / number
    present = np.flatnonzero(counts > 0)
    between = covariance[np.ix_(present, present)]
    pairs = ~np.eye(len(present), dtype=np.bool_)
    common = max(0.0, float(between[pairs].mean())) if len(present) > 1 else 0.0
    variances = np.full(len(table), np.nan)
    variances[present] = np.maximum(np.diag(between) - noise[present] - common, 0.0)
    return ItemNoise(variances, common, number)


def binomial_noise(scores: npt.ArrayLike, items: npt.ArrayLike, unseen: Mask | None = None) -> FloatArray:
    """``[arms]``, the same without predictions: a share of the binomial variance, `SEEN` or `UNSEEN`.

    Args:
        scores: ``[arms]``, mean scores in 0..1; nan for an arm without a run.
        items: Items behind each score.
        unseen: ``[arms]``, arms whose seeds show next to nothing of their luck: those without seeds, and all arms of
            a target that nothing is trained on. Default: none.
    """
    right = np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0)
    share = np.where(check_mask(unseen, len(right), "unseen", False), UNSEEN, SEEN)
    return np.asarray(share * right * (1.0 - right) / np.maximum(np.asarray(items, dtype=np.float64), 1.0))


def _by_cluster(table: FloatArray, clusters: Sequence[object]) -> tuple[FloatArray, FloatArray]:
    """Means of each cluster's items ``[arms, seeds, clusters]``, and the clusters' sizes."""
    if len(clusters) != table.shape[2]:
        raise UserError(f"clusters has {len(clusters)} entries, but must have one an item: {table.shape[2]}")
    place: IntArray = np.unique(np.array([str(name) for name in clusters]), return_inverse=True)[1]
    size = np.bincount(place).astype(np.float64)
    if len(size) < 2:
        raise UserError("all items belong to one cluster, so nothing is known of how clusters differ")
    belongs = np.zeros((len(place), len(size)))
    belongs[np.arange(len(place)), place] = 1.0
    return table @ belongs / size, size
