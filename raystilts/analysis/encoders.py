"""Which encoder is better on a target: without an intermediate task, with its best one, and over all arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.errors import UserError
from raystilts.ranking.contrasts import Contrasts
from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.paired import paired_difference
from raystilts.results.answers import TargetAnswer, arm_label
from raystilts.results.results import Results
from raystilts.results.stratum import Stratum

Name = tuple[str, float | None]


@dataclass(frozen=True, slots=True)
class Against:
    """A score, and by how much it is above that of the first encoder; scores are shares, 0.01 is a point.

    Attributes:
        arm: What was trained before; None for the mean over arms.
        score: Mean over seeds; None without a finished run.
        gap: The score minus the first encoder's, with its 95 % interval over seeds; None for the first itself, and
            where a run or a second seed is missing.
    """

    arm: str | None
    score: float | None
    gap: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class EncoderScores:
    """One encoder on one target.

    Attributes:
        none: Without an intermediate task.
        best: With the arm that the study's selection chooses for this encoder.
        mean: Over the arms that all encoders have been run with, `none` among them.
    """

    encoder: str
    none: Against
    best: Against
    mean: Against


@dataclass(frozen=True, slots=True)
class EncoderComparison:
    """The encoders on one target, as the study names them.

    Attributes:
        target: The target, with its part of the data where that is not all.
        arms: The arms that `EncoderScores.mean` is over.
        seeds: The seeds that any encoder has.
    """

    target: str
    metric: str
    languages: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: int
    encoders: tuple[EncoderScores, ...]


def compare_encoders(
    results: Results,
    target: str | None = None,
    language: str | None = None,
    intermediate_fraction: float | None = None,
    *,
    include_overlap: bool = False,
) -> list[EncoderComparison]:
    """Compares all encoders with the first one, target by target; the arguments are those of `Results.answers`.

    Runs are paired by arm and seed: a seed gives every encoder the same examples in the same order. The difference of
    one arm has a t interval with the variance of all arms that both encoders have (`ranking.paired`). Where each has
    another best arm, the difference varies more, since what a seed does to one arm does not cancel: it has a paired t
    interval of its own. That of the mean over arms is of randomised blocks with several responses
    (`ranking.contrasts`), the arms in the place of targets, since the runs of one encoder and seed are alike. Arms are
    a fixed set; nothing is corrected for the number of encoders.

    Raises:
        UserError: the results are of one encoder, or no target is there with two.
    """
    parts = results.by_encoder()
    if len(parts) < 2:
        raise UserError("--compare encoders: these results are of one encoder; a study has several by encoders: [...]")
    wanted = (target, language, intermediate_fraction)
    found_answers = [part.answers(*wanted, include_overlap=include_overlap) for part in parts]
    answers = [{(one.target, one.target_fraction): one for one in found} for found in found_answers]
    found_strata = [part.strata("test", language, target=target) for part in parts]
    strata = [{(one.target, one.target_fraction): one for one in found} for found in found_strata]
    keys = dict.fromkeys(key for found in answers for key in found)
    names = [str(part.encoder) for part in parts]
    compared = []
    for key in keys:
        here = [i for i, found in enumerate(answers) if key in found and key in strata[i]]
        if len(here) > 1:
            own = [answers[i][key] for i in here]
            compared.append(_compare(own, [strata[i][key] for i in here], [names[i] for i in here]))
    if not compared:
        raise UserError("--compare encoders: no target has finished runs of two encoders; run the study on")
    return compared


def _compare(answers: Sequence[TargetAnswer], strata: Sequence[Stratum], names: Sequence[str]) -> EncoderComparison:
    shared_languages = set(strata[0].languages).intersection(*(one.languages for one in strata))
    if any(set(one.languages) != shared_languages for one in strata):
        only = ", ".join(sorted(shared_languages)) or "none"
        raise UserError(
            f"{answers[0].label}: the encoders were scored in different languages; name one with --language (all have: "
            f"{only})"
        )
    allowed = [{(arm.intermediate, arm.intermediate_fraction) for arm in one.arms if arm.competes or arm.overlap}
               for one in answers]  # fmt: skip
    rows = [_rows(stratum, own) for stratum, own in zip(strata, allowed, strict=True)]
    arms = [name for name in rows[0] if all(name in other for other in rows)]
    seeds = _seeds(strata)
    runs = [{name: _by_seed(stratum, row, seeds) for name, row in own.items()}
            for stratum, own in zip(strata, rows, strict=True)]  # fmt: skip
    best = [_best(answer, own) for answer, own in zip(answers, rows, strict=True)]
    table = _Table(runs, best, arms, answers[0].baseline)
    return EncoderComparison(
        target=answers[0].label,
        metric=answers[0].metric,
        languages=answers[0].languages,
        arms=tuple(arm_label(*name, answers[0].baseline) for name in arms),
        seeds=len(seeds),
        encoders=tuple(table.scores(name, e) for e, name in enumerate(names)),
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    """The scores of an arm by seed, nan where there is none, and whether they depend on no seed."""

    scores: FloatArray
    exact: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """The runs of each encoder by arm, the arm chosen for each, the arms that all have, and the name of `none`."""

    runs: Sequence[dict[Name, _Runs]]
    best: Sequence[Name | None]
    arms: Sequence[Name]
    baseline: str

    def scores(self, encoder: str, e: int) -> EncoderScores:
        """One encoder beside the first."""
        none = ("none", None)
        return EncoderScores(
            encoder, self._against(e, none, none), self._against(e, self.best[e], self.best[0]), self._mean(e)
        )

    def _against(self, e: int, own: Name | None, first: Name | None) -> Against:
        """An arm of an encoder, and an arm of the first one."""
        label = None if own is None else arm_label(*own, self.baseline)
        one = None if own is None else self.runs[e].get(own)
        other = None if first is None else self.runs[0].get(first)
        if one is None:
            return Against(label, None)
        score = float(np.nanmean(one.scores))
        if e == 0 or other is None:
            return Against(label, score)
        gaps = one.scores - other.scores
        pool = self._gaps(e) if own == first else [gaps]
        gap = paired_difference(gaps, pool, exact=one.exact and other.exact)
        return Against(label, score, gap.value, gap.low, gap.high)

    def _gaps(self, e: int) -> list[FloatArray]:
        """An encoder's differences from the first with each arm that both have been run with, seed by seed."""
        first = self.runs[0]
        return [own.scores - first[name].scores for name, own in self.runs[e].items()
                if name in first and not (own.exact and first[name].exact)]  # fmt: skip

    def _mean(self, e: int) -> Against:
        """The arms that all encoders have, each with the same weight."""
        if not self.arms:
            return Against(None, None)
        scores = np.array([[runs[name].scores for runs in self.runs] for name in self.arms])
        exact = np.array([[runs[name].exact for runs in self.runs] for name in self.arms])
        found, number = Contrasts(scores, exact), len(self.arms)
        score = float(found.effects[:, e].mean())
        if e == 0:
            return Against(None, score)
        gap = found.difference([e] * number, [0] * number, [1.0 / number] * number)
        return Against(None, score, gap.value, gap.low, gap.high)


def _rows(stratum: Stratum, allowed: set[Name]) -> dict[Name, int]:
    """The row of each arm that has a score; of several settings of one arm the one with most runs."""
    runs = np.isfinite(stratum.scores).sum(axis=1)
    found: dict[Name, int] = {}
    for row, arm in enumerate(stratum.arms):
        name = arm[:2]
        if name in allowed and runs[row] > (runs[found[name]] if name in found else 0):
            found[name] = row
    return found


def _best(answer: TargetAnswer, rows: dict[Name, int]) -> Name | None:
    """The arm that is chosen for an encoder."""
    names = [(arm.intermediate, arm.intermediate_fraction) for arm in answer.arms if arm.competes]
    return next((name for name in names if name in rows), None)


def _seeds(strata: Sequence[Stratum]) -> list[int | None]:
    """The seeds that any encoder has."""
    found: list[int | None] = []
    found += sorted({seed for one in strata for seed in one.seeds if seed is not None})
    return found or [None]


def _by_seed(stratum: Stratum, row: int, seeds: Sequence[int | None]) -> _Runs:
    """An arm's scores under the seeds of all encoders."""
    if stratum.deterministic[row]:
        return _Runs(np.full(len(seeds), stratum.scores[row, 0]), True)
    scores = np.full(len(seeds), np.nan)
    for seed, score in zip(stratum.seeds, stratum.scores[row], strict=True):
        scores[seeds.index(seed)] = score
    return _Runs(scores, False)
