"""Racing over seeds from a single seed: the noise that one seed cannot show is pooled over all strata of the study.

Each stratum races as in `race`. What differs is the start, and where the noise comes from. The rounds are those of the
whole study, so that a decision reads closed rounds of all strata and never depends on who reported first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from raystilts.ranking.intervals import Decomposition, FloatArray
from raystilts.ranking.joint import units
from raystilts.schedules.base import Run, SharedStratum, Verdict
from raystilts.schedules.race import RaceRule

_REPEATED = 2  # arms of a stratum that get a second seed after the first round, beside the baseline
_OTHERS_DF = 4  # what the other strata say of a stratum's noise counts as so many degrees of freedom


class PooledRaceRule:
    """Races from one seed, for all strata of a study; `of` gives what drives a single one.

    The first round is one seed of every arm. Nothing is known of the noise then, so the second gives another seed to
    the best two arms of each stratum, to the baseline, and to arms whose run has failed. From then on each round drops
    the arms that are too far behind, as `RaceRule` does, and gives every survivor that has fewest seeds one more.

    The variance between seeds of a stratum is ``(d u^2 r + squares) / (d + df)``, with its own residual squares and
    degrees of freedom, u the spread of its scores, and r the pooled variance of all strata in units of their spreads
    (moderated variances, Smyth, SAGMB 3, 2004, with d given).

    Args:
        strata: The runs of each stratum; an arm gets its seeds in the order in which they are given.
        max_seeds: Seeds after which a race ends; None: when there are no more.
        confidence: Of the one-sided t bound.
    """

    def __init__(self, strata: Mapping[str, Iterable[Run]], max_seeds: int | None, confidence: float) -> None:
        self._races = {key: RaceRule(runs, 1, max_seeds, confidence) for key, runs in strata.items()}
        self._verdicts: dict[str, list[Verdict]] = {key: [] for key in strata}
        self._rounds = 0

    def of(self, key: str) -> SharedStratum:
        """The rule of one stratum, see `StratumRule`."""
        return SharedStratum(self, key)

    @property
    def rounds_decided(self) -> int:
        """See `SharedRule`."""
        return self._rounds

    def wanted(self, key: str) -> dict[Run, float]:
        """See `SharedRule`."""
        return self._races[key].wanted()

    def report(self, key: str, run: Run, share: float, score: float | None) -> None:
        """See `SharedRule`."""
        if self._races[key].add(run, share, score):
            self._advance()

    def take_verdicts(self, key: str) -> list[Verdict]:
        """See `SharedRule`."""
        found, self._verdicts[key] = self._verdicts[key], []
        return found

    def _advance(self) -> None:
        """Closes every round of the study whose runs have all ended."""
        while racing := {key: race for key, race in self._races.items() if not race.has_ended}:
            if not all(race.can_close for race in racing.values()):
                return
            self._rounds += 1
            if self._rounds == 1:
                for key, race in racing.items():
                    self._verdicts[key].append(race.repeat_best(_REPEATED))
            else:
                fits = moderated([race.fit() for race in self._races.values()], self._scores())
                for fit, (key, race) in zip(fits, self._races.items(), strict=True):
                    if key in racing:
                        self._verdicts[key].append(race.close(fit))

    def _scores(self) -> FloatArray:
        """``[strata, runs]``, nan where a stratum has fewer runs."""
        found = [race.scores() for race in self._races.values()]
        table = np.full((len(found), max(map(len, found))), np.nan)
        for row, scores in zip(table, found, strict=True):
            row[: len(scores)] = scores
        return table


def moderated(fits: Sequence[Decomposition], scores: FloatArray) -> list[Decomposition]:
    """Every stratum with its noise drawn to that of the others; as it is where no other has a repeated seed.

    Args:
        fits: Of each stratum.
        scores: ``[strata, runs]``, which set the unit of each stratum; nan where there is none.
    """
    freedom = sum(fit.df for fit in fits)
    unit = (units(scores[:, :, None])[1] ** 2).tolist()
    squares = [float(fit.squares.sum()) for fit in fits]
    whole = sum(own / one for own, one in zip(squares, unit, strict=True))
    found = []
    for fit, own, one in zip(fits, squares, unit, strict=True):
        others = min(_OTHERS_DF, freedom - fit.df)
        if others == 0:
            found.append(fit)
            continue
        ratio = (whole - own / one) / (freedom - fit.df)
        variance = (others * ratio * one + own) / (others + fit.df)
        found.append(dataclasses.replace(fit, variance=variance, df=others + fit.df))
    return found
