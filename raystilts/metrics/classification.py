"""Metrics of one label an item: accuracy (XNLI, PAWS-X, multiple choice) and F1 (MRPC, QQP; over all classes)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Sized


def require_pairs(predictions: Sized, gold: Sized) -> None:
    """Refuses to score lists that cannot be paired item by item.

    Args:
        predictions: One prediction an item.
        gold: One gold answer an item.

    Raises:
        ValueError: The lengths differ, or there is nothing to score (the mean of nothing is not
            0).
    """
    if len(predictions) != len(gold):
        raise ValueError(f"{len(predictions)} predictions for {len(gold)} gold items: give one for each")
    if len(gold) == 0:
        raise ValueError("no items to score: a score needs at least one prediction and its gold")


def accuracy(predictions: Sequence[object], gold: Sequence[object]) -> float:
    """The share of items whose prediction equals the gold label.

    Args:
        predictions: One label an item (numbers or names, as in `gold`).
        gold: One label an item.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: Lengths differ, or there are no items.
    """
    require_pairs(predictions, gold)
    return sum(bool(p == g) for p, g in zip(predictions, gold, strict=True)) / len(gold)


def f1_binary(predictions: Sequence[object], gold: Sequence[object], positive: object = 1) -> float:
    """F1 of one label, the harmonic mean of its precision and recall (GLUE: MRPC, QQP).

    Args:
        predictions: One label an item.
        gold: One label an item.
        positive: The label that counts as found.

    Returns:
        A number in 0..1; 0 where the label is neither predicted nor in the gold, as in
            scikit-learn.

    Raises:
        ValueError: Lengths differ, or there are no items.
    """
    require_pairs(predictions, gold)
    found = [bool(p == positive) for p in predictions]
    wanted = [bool(g == positive) for g in gold]
    both = sum(f and w for f, w in zip(found, wanted, strict=True))
    total = sum(found) + sum(wanted)
    return 2 * both / total if total else 0.0


def macro_f1(predictions: Sequence[object], gold: Sequence[object]) -> float:
    """The mean of the F1 of every class that is in the gold or predicted, as scikit-learn's `f1_score` has it.

    Args:
        predictions: One label an item.
        gold: One label an item.

    Returns:
        A number in 0..1.

    Raises:
        ValueError: Lengths differ, or there are no items.
    """
    scores = _f1_by_class(predictions, gold)
    return sum(scores.values()) / len(scores)


def weighted_f1(predictions: Sequence[object], gold: Sequence[object]) -> float:
    """Like `macro_f1`, each class as often as it is in the gold (scikit-learn's `average="weighted"`)."""
    wanted = Counter(gold)
    return sum(score * wanted[label] for label, score in _f1_by_class(predictions, gold).items()) / len(gold)


def _f1_by_class(predictions: Sequence[object], gold: Sequence[object]) -> dict[object, float]:
    require_pairs(predictions, gold)
    found, wanted = Counter(predictions), Counter(gold)
    both = Counter(p for p, g in zip(predictions, gold, strict=True) if p == g)
    return {label: 2 * both[label] / (found[label] + wanted[label]) for label in {*found, *wanted}}


#: Metrics that a task of one label an item, or a study (`targets: [{task: ..., metric: ...}]`), may ask for beside
#: accuracy, by name. A new one is a function in this file and its entry here.
METRICS: dict[str, Callable[[Sequence[object], Sequence[object]], float]] = {
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
}
