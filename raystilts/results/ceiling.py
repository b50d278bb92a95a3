"""Where the data that choose cannot choose: every run has the same score on them, or nearly all there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.ranking.intervals import FloatArray

_FULL = 0.995


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The scores that leave nothing to choose by.

    Attributes:
        low: The lowest score of a competing arm's run, 0 to 1; likewise `high`.
        items: Items behind a score; None where their number is not known.
        data: Which data they are of: dev or test.
        other: What else may choose, such as `selection: target_dev`; empty where there is nothing.
    """

    low: float
    high: float
    items: int | None
    data: str
    other: str = ""

    def words(self) -> str:
        """Why nothing is decided, and what to change."""
        low, high = f"{100 * self.low:.1f}", f"{100 * self.high:.1f}"
        scores = low if low == high else f"{low} to {high}"
        on = "it" if self.items is None else f"its {self.items:,} items"
        other = f", or {self.other}" if self.other else ""
        return (
            f"the {self.data} data cannot choose: all runs score {scores} on {on}; give more or harder {self.data} "
            f"data{other}"
        )


def find_ceiling(
    scores: FloatArray, competes: Sequence[bool], items: int | None, data: str, other: str = ""
) -> Ceiling | None:
    """The ceiling of the data that choose; None where they can.

    One run an arm may have the same score by chance, so that below the top it takes repeated seeds.
    """
    own = scores[np.asarray(competes, dtype=np.bool_)]
    known = np.isfinite(own)
    if known.any(axis=1).sum() < 2:
        return None
    low, high = float(own[known].min()), float(own[known].max())
    same = high - low < 1e-9 and known.sum(axis=1).max() > 1
    return Ceiling(low, high, items, data, other) if same or low >= _FULL else None
