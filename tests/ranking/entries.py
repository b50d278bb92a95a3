"""What a posterior says of each arm, a row an arm: easier to compare than its columns."""

from __future__ import annotations

from dataclasses import dataclass

from raystilts.ranking.posterior import Posterior, number


@dataclass(frozen=True)
class Entry:
    """One arm; None where it cannot be said."""

    arm: int
    runs: int
    mean: float | None
    gain: float | None
    low: float | None
    high: float | None
    p_best: float | None
    regret: float | None


def entries(answer: Posterior) -> tuple[Entry, ...]:
    """One entry a row of the score table, in its order."""
    columns = (answer.fit.effects, *answer.gains, answer.p_best, answer.regret)
    rows = zip(*(values.tolist() for values in columns), strict=True)
    counts = answer.fit.counts.tolist()
    return tuple(Entry(i, counts[i], *map(number, row)) for i, row in enumerate(rows))
