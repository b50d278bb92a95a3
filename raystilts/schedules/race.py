"""Racing over seeds at full budget: seed after seed, for the arms that may still be the best.

After Maron and Moore, "Hoeffding Races" (NIPS 1993), with a pooled t bound in place of Hoeffding's: all arms start
with a few seeds; each round drops the arms that are too far behind the best, and gives one more seed to the others.

From a single seed the noise that one seed cannot show is pooled over all strata of the study. The rounds are then those
of the whole study, so that a decision reads closed rounds of all strata and never depends on who reported first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from raystilts.ranking.intervals import Decomposition, FloatArray, decompose, gain_variance
from raystilts.ranking.joint import units
from raystilts.schedules.base import (
    BASELINE,
    Reports,
    Run,
    SharedRule,
    StratumSettings,
    Verdict,
    best_first,
    seeds_there,
)

_ROUNDING_SHARE = 1e-12  # means closer than this share of the score are equal
_REPEATED = 2  # arms of a stratum that get a second seed after a first round of one seed, beside the baseline
_OTHERS_DF = 4  # what the other strata say of a stratum's noise counts as so many degrees of freedom


class Race(StratumSettings):
    """Racing over seeds: every run to the end, more seeds only for the arms that may be the best.

    Attributes:
        min_seeds: Seeds that every arm gets. With 1, the noise between seeds is pooled over all strata of the study.
        max_seeds: Seeds after which the race ends; None: all of the study's.
        confidence: Confidence of the one-sided bound by which an arm must be behind to be dropped.
    """

    name: ClassVar[str] = "race"
    example: ClassVar[str] = "min_seeds: 2, ..."
    hints: ClassVar[Mapping[str, str]] = {"confidence": "such as 0.9"}

    min_seeds: Annotated[int, Field(ge=1)] = 2
    max_seeds: Annotated[int, Field(ge=2)] | None = None
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max_seeds is not None and self.max_seeds < self.min_seeds:
            raise ValueError(f"max_seeds {self.max_seeds} must not be below min_seeds {self.min_seeds}")
        return self

    @property
    def is_pooled(self) -> bool:
        """Whether one rule decides for all strata of the study, which tell each other of the noise."""
        return self.min_seeds == 1

    def check_seeds(self, n_seeds: int) -> None:
        """See `ScheduleSettings`."""
        for name, asked in (("min_seeds", self.min_seeds), ("max_seeds", self.max_seeds)):
            if asked is not None and asked > n_seeds:
                has = seeds_there(n_seeds)
                raise ValueError(f"schedule.race.{name} is {asked}, but {has}; give more seeds, or a smaller {name}")

    def rule(self, runs: Sequence[Run]) -> RaceRule:
        """See `StratumSettings`."""
        return RaceRule(runs, self.min_seeds, self.max_seeds, self.confidence)

    def shared_rule(self, strata: Mapping[str, Iterable[Run]]) -> PooledRaceRule | None:
        """See `StratumSettings`."""
        return PooledRaceRule(strata, self.max_seeds, self.confidence) if self.is_pooled else None


class RaceRule:
    """Adds seeds to the arms not yet outclassed, and to the baseline; see `StratumRule` for the methods.

    The first round is `min_seeds` seeds of every arm, each later round one more seed of every survivor and of the
    baseline, in the order in which the runs are given. A round is closed when all its runs have ended; so the order of
    arrival cannot decide. The baseline takes part in the comparison (an arm that is surely worse than no intermediate
    task is not the best) but is never dropped. The race ends with at most one survivor, after `max_seeds` seeds, or
    when no survivor has a run left.

    Means are over runs that have not failed, adjusted for seeds where a failure leaves arms with different ones. An arm
    whose runs have all failed at the end of a round is dropped. An arm with a single run without a seed has no
    variance. Without a baseline the arms are compared with each other alone.

    Args:
        runs: The runs of the stratum.
        min_seeds: Seeds of the first round (with one there is no variance: `PooledRaceRule`).
        max_seeds: Seeds after which the race ends; None: when there are no more.
        confidence: Of the one-sided t bound.
    """

    def __init__(self, runs: Iterable[Run], min_seeds: int, max_seeds: int | None, confidence: float) -> None:
        self._reports = Reports(runs, (1.0,))
        self._confidence = confidence
        arms = self._reports.arms
        self._survivors = [arm for arm in arms if arm != BASELINE]
        most = max((len(arms[arm]) for arm in self._survivors), default=0)
        self._max_seeds = most if max_seeds is None else min(max_seeds, most)
        # how many of its runs each arm has in the race; a dropped arm keeps its number
        self._seeds = {arm: min(min_seeds, self._max_seeds) if self._survivors else len(arms[arm]) for arm in arms}
        self._round = 1
        self._ended = not self._survivors

    def wanted(self) -> dict[Run, float]:
        """Runs of the present round that have not ended."""
        return {run: 1.0 for run in self._racing() if not self._reports.ended(run)}

    def report(self, run: Run, share: float, score: float | None) -> list[Verdict]:
        """Takes a final score, or a failure at any share; returns the verdict of each round that it closes."""
        if not self.add(run, share, score):
            return []
        verdicts = []
        while self.can_close:
            verdicts.append(self.close(self.fit()))
        return verdicts

    def add(self, run: Run, share: float, score: float | None) -> bool:
        """Keeps a report as for `report`, and decides nothing; returns whether it is new."""
        failed = score is None or math.isnan(score)
        return self._reports.add(run, 1.0 if failed else share, score)

    @property
    def can_close(self) -> bool:
        """Whether the race goes on and all runs of its present round have ended."""
        return not self._ended and all(self._reports.ended(run) for run in self._racing())

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is raced for."""
        return self._ended

    def stopped(self) -> dict[Run, float]:
        """A race ends no run before its end."""
        return {}

    def _racing(self) -> list[Run]:
        """The runs so far of every arm that is or was in the race."""
        return [run for arm, runs in self._reports.arms.items() for run in runs[: self._seeds[arm]]]

    @property
    def _rows(self) -> list[str]:
        """The arms in the order of `fit`, the baseline first."""
        return [BASELINE, *(arm for arm in self._reports.arms if arm != BASELINE)]

    def fit(self) -> Decomposition:
        """The runs so far, split into arms and seeds; row 0 is the baseline."""
        exact = [any(run.seed is None for run in self._reports.arms.get(arm, [])) for arm in self._rows]
        return decompose(self._table(self._rows), deterministic=exact)

    def scores(self) -> FloatArray:
        """``[runs]``, final scores so far; nan for failed runs."""
        return np.array([self._reports.score(run, 1.0) for run in self._racing()])

    def close(self, fit: Decomposition) -> Verdict:
        """Judges a round whose runs have all ended, and opens the next.

        Args:
            fit: That of the runs, where need be with a noise that other strata tell.
        """
        arms = self._rows
        effects = dict(zip(arms, fit.effects.tolist(), strict=True))
        out = outclassed(fit, [arms.index(arm) for arm in (BASELINE, *self._survivors)], self._confidence)
        dropped = {arms[row] for row in out}
        verdict = self._verdict(effects, dropped)
        self._open(list(verdict.kept))
        return verdict

    def repeat_best(self, places: int) -> Verdict:
        """Ends a first round of one seed, which says nothing of the noise: gives a second one to the best few arms.

        The baseline gets one too, and arms whose run has failed, which no single failure drops. All stay in the race.
        """
        effects = dict(zip(self._rows, self.fit().effects.tolist(), strict=True))
        verdict = self._verdict(effects, set())
        alive, failed = best_first({arm: effects[arm] for arm in self._survivors})
        self._ended = self._max_seeds < 2 or len(self._survivors) <= 1
        if not self._ended:
            self._round += 1
            self._give(2, [*alive[:places], *failed, BASELINE])
        return verdict

    def _verdict(self, effects: Mapping[str, float], dropped: Collection[str]) -> Verdict:
        """What this round keeps and drops of those in the race."""
        alive, failed = best_first({arm: effects[arm] for arm in self._survivors})
        kept = tuple(arm for arm in (*alive, *failed) if arm not in dropped)
        out = tuple(arm for arm in (*alive, *failed) if arm in dropped)
        racing = [BASELINE, *self._survivors]
        scores = {arm: effects[arm] for arm in sorted(racing) if arm in self._reports.arms}
        return Verdict("race", self._round, 1.0, kept, out, scores)

    def _give(self, seeds: int, arms: Iterable[str]) -> None:
        """Lets arms have so many seeds, those that have fewer."""
        there = {arm: max(self._seeds[arm], seeds) for arm in arms if arm in self._reports.arms}
        self._seeds.update(there)

    def _open(self, survivors: list[str]) -> None:
        """The next round, or the end of the race."""
        arms = self._reports.arms
        left = [self._seeds[arm] for arm in survivors if len(arms[arm]) > self._seeds[arm]]
        seeds = min(left, default=self._max_seeds) + 1
        self._survivors = survivors
        self._ended = len(survivors) <= 1 or seeds > self._max_seeds
        if not self._ended:
            self._round += 1
            self._give(seeds, (*survivors, BASELINE))

    def _table(self, arms: list[str]) -> list[list[float]]:
        """``[arms, seeds]`` final scores of the runs in the race; nan where there is none."""
        seeds = sorted({run.seed for run in self._racing() if run.seed is not None})
        columns = {seed: number for number, seed in enumerate(seeds)} | {None: 0}
        table = [[math.nan] * max(1, len(seeds)) for _ in arms]
        for row, arm in zip(table, arms, strict=True):
            for run in self._reports.arms.get(arm, [])[: self._seeds.get(arm, 0)]:
                row[columns[run.seed]] = self._reports.score(run, 1.0)
        return table


def outclassed(fit: Decomposition, racing: list[int], confidence: float) -> set[int]:
    """Arms too far behind the best: by more than ``t(confidence, df) * s * sqrt(1/n + 1/n_best)``.

    `s` and its degrees of freedom are pooled over all arms and runs of the stratum, with seeds as blocks. Arms without
    a score are outclassed too. While the variance is unknown, no other arm is.

    Args:
        fit: The stratum's scores, split into arms and seeds; row 0 is the baseline.
        racing: Rows that are compared; row 0 may be the best but is never outclassed.
        confidence: Of the one-sided bound, in (.5, 1).
    """
    from scipy import stats  # here: it loads slowly, and most commands race nothing

    out = {arm for arm in racing if arm != 0 and not fit.present[arm]}
    known = [arm for arm in racing if fit.present[arm]]
    if not known:
        return out
    best = max(known, key=lambda arm: float(fit.effects[arm]))
    rounding = _ROUNDING_SHARE * max(abs(float(fit.effects[arm])) for arm in known)
    for arm in known:
        variance, df = gain_variance(fit, arm, best)
        if arm in (0, best) or math.isnan(variance):
            continue
        margin = float(stats.t.ppf(confidence, df)) * variance**0.5 if variance > 0.0 else 0.0
        if fit.effects[best] - fit.effects[arm] > margin + rounding:
            out.add(arm)
    return out


class PooledRaceRule(SharedRule):
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
        super().__init__(strata)
        self._races = {key: RaceRule(runs, 1, max_seeds, confidence) for key, runs in strata.items()}
        self._rounds = 0

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
