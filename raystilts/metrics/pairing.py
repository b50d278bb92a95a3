"""The one check that every metric starts with: predictions and gold belong together."""

from __future__ import annotations

from collections.abc import Sized


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
        raise ValueError(
            f"{len(predictions)} predictions for {len(gold)} gold items: give one for each"
        )
    if len(gold) == 0:
        raise ValueError("no items to score: a score needs at least one prediction and its gold")
