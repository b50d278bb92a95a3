"""Which examples form which update: a pure function of seed, lengths and hyperparameters.

Seed s gives the same subset and order whatever the arm (common random numbers), and an interrupted training finds
its place again by the number of the update alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Longs

#: Batches are grouped by length within pools of so many batches, as long as order stays random across pools.
POOL_BATCHES = 50


def subset(examples: int, fraction: float, seed: int, most: int | None = None) -> Longs:
    """The share `fraction` of a training set under a seed; smaller shares lie inside larger ones. Ascending.

    Args:
        most: The share is of so many of the examples, drawn by the seed; default all.
    """
    count = max(1, round(fraction * (examples if most is None else min(most, examples))))
    return np.sort(np.random.default_rng([11, seed, examples]).permutation(examples)[:count]).astype(np.int64)


def example_lengths(features: Features) -> Longs:
    """Sub-words of each example, all its features together, shape [examples]."""
    lengths = np.zeros(features.num_examples, dtype=np.int64)
    np.add.at(lengths, features.example, features.input_ids.lengths)
    return lengths


def epoch_batches(chosen: Longs, lengths: Longs, hp: Hyperparameters, seed: int, epoch: int) -> list[Longs]:
    """One pass over the chosen examples in batches, of similar lengths where the hyperparameters say so."""
    rng = np.random.default_rng([13, seed, epoch])
    order = chosen[rng.permutation(len(chosen))]
    size = hp.batch
    if hp.train_sampling_strategy == "group_by_length":
        order = np.concatenate(
            [
                block[np.argsort(lengths[block], kind="stable")]
                for block in np.split(order, range(size * POOL_BATCHES, len(order), size * POOL_BATCHES))
            ]
        )
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def training_batches(chosen: Longs, lengths: Longs, hp: Hyperparameters, seed: int, steps: int) -> list[Longs]:
    """As many epochs as `steps` updates take."""
    out: list[Longs] = []
    epoch = 0
    while len(out) < steps:
        out += epoch_batches(chosen, lengths, hp, seed, epoch)
        epoch += 1
    return out[:steps]


def smoothed_batches(sizes: Sequence[int], exponent: float, hp: Hyperparameters, seed: int, steps: int) -> list[Longs]:
    """Batches of text in several languages, drawn by their sizes to the power of `exponent`.

    Each example's language is drawn on its own; a language gives its examples in a random order, and starts over in
    another one when it has given them all.

    Args:
        sizes: Examples of each language, which lie one language after the other.
        exponent: 1 draws by size, 0 evenly.
        steps: How many batches.
    """
    weights = np.asarray(sizes, dtype=np.float64) ** exponent
    rng = np.random.default_rng([19, seed])
    language = rng.choice(len(sizes), size=steps * hp.batch, p=weights / weights.sum())
    out = np.empty(steps * hp.batch, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    for index, (start, size) in enumerate(zip(starts.tolist(), sizes, strict=True)):
        at = np.flatnonzero(language == index)
        passes = [np.random.default_rng([23, seed, index, n]).permutation(size) for n in range(-(-len(at) // size))]
        out[at] = start + np.concatenate(passes)[: len(at)] if passes else 0
    return [out[i : i + hp.batch] for i in range(0, len(out), hp.batch)]


def aligned_batches(examples: int, hp: Hyperparameters, seed: int, steps: int) -> list[Longs]:
    """Batches of another domain's texts, in random order and all of the full size: a spread needs several texts."""
    return smoothed_batches([examples], 1.0, hp, seed + 7919, steps)


@dataclass(frozen=True, slots=True)
class Update:
    """One update: which task of the mixture, by its index, and which of its examples."""

    task_index: int
    examples: Longs


def mixture_order(weights: list[float], steps: int, seed: int) -> Longs:
    """The task of the mixture that each update takes, drawn by weight, shape [steps]."""
    shares = np.asarray(weights) / sum(weights)
    return np.random.default_rng([17, seed]).choice(len(weights), size=steps, p=shares).astype(np.int64)


def text_first(order: Longs, text: int) -> Longs:
    """The same updates with those of one task, the plain text, before all others."""
    return np.concatenate([order[order == text], order[order != text]])


def mix(order: Longs, streams: list[list[Longs]]) -> list[Update]:
    """Updates in the order given, each task taking its own batches one after the other.

    Args:
        order: The task of each update.
        streams: For each task at least as many batches as it has updates.
    """
    taken = [0] * len(streams)
    updates = []
    for task in order.tolist():
        updates.append(Update(task, streams[task][taken[task]]))
        taken[task] += 1
    return updates
