"""Scales of charts: from values to places, and round numbers to label them with."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to places on a drawing.

    Attributes:
        low: Value at `start`.
        high: Value at `end`.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, held inside the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def spread(values: Iterable[float], *, pad: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Bounds around values, at least `least` apart, with a margin of `pad` of their distance."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    short = max(0.0, least - (high - low)) / 2
    margin = pad * (high - low + 2 * short)
    return low - short - margin, high + short + margin


def ticks(low: float, high: float, most: int = 4) -> list[float]:
    """At most `most` round numbers between two bounds, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [step * k for k in range(first, last + 1)]
    raise AssertionError("twenty times the power is more than the range")
