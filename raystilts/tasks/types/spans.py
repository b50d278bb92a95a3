"""The best answer among all start and end scores of a question's windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from raystilts.tasks.features import Features, Floats, Ints, Longs, SpanLogits


@dataclass(frozen=True, slots=True)
class BestSpans:
    """The best answer of each example, shape [examples] each.

    Attributes:
        start: First character, -1 if no window has a possible answer.
        end: One past its last character.
        score: Start score plus end score.
        null: The smallest score of "no answer" (the first token twice) over the example's windows.
    """

    start: Longs
    end: Longs
    score: Floats
    null: Floats


def best_spans(logits: SpanLogits, features: Features, max_length: int) -> BestSpans:
    """Finds the pair of tokens with the largest sum of scores, over all windows of each example.

    Ties go to the earlier window, the shorter answer and the earlier start, so that the result
    does not depend on the machine.

    Args:
        logits: Start and end scores.
        features: Windows, with `char_spans`.
        max_length: The longest answer, in tokens.
    """
    assert features.char_spans is not None
    spans = cast(Ints, features.char_spans.values)
    rows = features.input_ids
    window = np.repeat(np.arange(len(rows)), rows.lengths)
    possible = spans[:, 0] < spans[:, 1]  # outside the context both are -1; white space alone is empty
    low = np.float32(-np.inf)
    start = np.where(possible, _clean(logits.start.values.astype(np.float32)), low)
    end = np.where(possible, _clean(logits.end.values.astype(np.float32)), low)
    best, length = _best_from(start, end, window, max_length)
    first, score = _best_per_group(best, rows.offsets)
    chosen, top = _best_of_windows(score, features.example, features.num_examples)
    token = first[chosen]
    found = np.isfinite(top)
    null = np.full(features.num_examples, np.inf, dtype=np.float32)
    heads = rows.offsets[:-1]
    none = logits.start.values[heads].astype(np.float32) + logits.end.values[heads].astype(np.float32)
    np.minimum.at(null, features.example, _clean(none))
    return BestSpans(
        start=np.where(found, spans[token, 0], -1).astype(np.int64),
        end=np.where(found, spans[token + length[token], 1], -1).astype(np.int64),
        score=top,
        null=null,
    )


def _clean(values: Floats) -> Floats:
    """NaN counts as the lowest finite score: a diverged model must not crash its evaluation."""
    lowest = float(np.finfo(np.float32).min) / 4
    return np.nan_to_num(values, nan=lowest, posinf=-lowest, neginf=lowest)


def _best_from(start: Floats, end: Floats, window: Longs, max_length: int) -> tuple[Floats, Longs]:
    """For each token, the best score of an answer that starts there, and the end's distance."""
    best = start + end
    length = np.zeros(len(start), dtype=np.int64)
    for distance in range(1, min(max_length, len(start))):
        sums = start[:-distance] + end[distance:]
        sums[window[:-distance] != window[distance:]] = -np.inf
        better = sums > best[:-distance]
        best[:-distance][better] = sums[better]
        length[:-distance][better] = distance
    return best, length


def _best_per_group(values: Floats, offsets: Longs) -> tuple[Longs, Floats]:
    """Position and value of the first maximum of each stretch of a flat array."""
    if len(offsets) == 1:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    top = np.maximum.reduceat(values, offsets[:-1])
    at = np.flatnonzero(values == np.repeat(top, np.diff(offsets)))
    return at[np.searchsorted(at, offsets[:-1])], top


def _best_of_windows(score: Floats, example: Longs, examples: int) -> tuple[Longs, Floats]:
    """The first best window of each example, and its score."""
    bounds = np.searchsorted(example, np.arange(examples + 1)).astype(np.int64)
    return _best_per_group(score, bounds)
