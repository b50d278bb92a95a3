"""Drives a rule to its end without training: any wanted run may report next."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import strategies as st

from raystilts.schedules.base import BASELINE, Run, StratumRule, Verdict

Score = Callable[[Run, float], float | None]


def drive(rule: StratumRule, score: Score, order: random.Random) -> tuple[list[Verdict], dict[Run, float]]:
    """Lets wanted runs report in a random order until none is wanted.

    Returns:
        The verdicts, and how far each run came.
    """
    verdicts: list[Verdict] = []
    reached: dict[Run, float] = {}
    while wanted := rule.wanted():
        run = order.choice(sorted(wanted, key=repr))
        assert wanted[run] > reached.get(run, 0.0)
        reached[run] = wanted[run]
        verdicts += rule.report(run, wanted[run], score(run, wanted[run]))
    return verdicts, reached


def runs_of(arms: int, seeds: int) -> list[Run]:
    """`none` and so many arms, called a, b, ..."""
    return [Run(arm, seed) for arm in (BASELINE, *"abcdefghijkl"[:arms]) for seed in range(seeds)]


#: A score in quarters, so that ties are common, or a failure.
SCORES = st.sampled_from([None, *(quarter / 4 for quarter in range(13))])


@st.composite
def tables(draw: st.DrawFn, runs: list[Run], shares: tuple[float, ...]) -> Score:
    """Scores of all runs at all shares; a run that has failed stays failed."""
    scores: dict[tuple[Run, float], float | None] = {}
    for run in runs:
        values = draw(st.lists(SCORES, min_size=len(shares), max_size=len(shares)))
        for number, share in enumerate(shares):
            scores[run, share] = None if None in values[: number + 1] else values[number]
    return lambda run, share: scores[run, share]
