"""The scores of one stratum (target, target fraction) as an array of arms and seeds, and their ranking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raystilts.ranking.intervals import FloatArray
from raystilts.ranking.languages import rank_languages
from raystilts.ranking.posterior import Posterior, rank_arms, with_items

#: The rule of `degenerate_rule` that is void where at least half of a stratum's runs break it (the
#: target is not learnt at this size) or all of several runs of an arm (that is the arm's level, not a
#: collapse): dropping them would keep the lucky ones.
CHANCE = "chance"


class Arm(NamedTuple):
    """An intermediate at one data fraction and one set of hyperparameters (a JSON object)."""

    intermediate: str
    intermediate_fraction: float | None
    hyperparameters: str


class Final(NamedTuple):
    """The final score of one cell: the mean over `Stratum.languages`, and in each of them.

    `rule` says by which rule the run is degenerate; None where it is not. `by_language` is None where it was not asked
    for.
    """

    arm: Arm
    seed: int | None
    score: float
    rule: str | None
    by_language: Sequence[float] | None = None


class Unfinished(NamedTuple):
    """A stage of an arm that was stopped (at a share of its budget, `rung`) or has failed."""

    arm: Arm
    status: str
    rung: float | None


@dataclass(frozen=True, slots=True)
class Place:
    """Which scores: of which stratum, split and languages, by which metric (None without scores)."""

    target: str
    target_fraction: float | None
    split: str
    language: str | None
    languages: tuple[str, ...] = ()
    metric: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Final scores of one target at one fraction, arms by seeds.

    Attributes:
        language: The language asked for, None for the macro mean.
        languages: The languages behind every score.
        metric: The main metric; None without scores.
        arms: Arm 0 is ``none``, also where it was never run. If it was run with several sets of
            hyperparameters, arm 0 has those with most scores, and the others follow as arms.
        seeds: The columns of `scores`; ``[None]`` where nothing depends on a seed.
        scores: Shape [arms, seeds], 0 to 1; NaN where a run is missing or did not finish, or is
            degenerate.
        deterministic: Shape [arms]: the arm's one score depends on no seed and fills its row.
        degenerate: Shape [arms]: finished runs that are degenerate; likewise the number of stages
            in `failed` and in `stopped`.
        stopped_at: The largest share of the budget that a stopped stage of the arm has reached.
        at_chance: Finished runs at chance level that count all the same, see `CHANCE`.
        learnt: False where half of the finished runs or more are at chance: the target is not learnt at this size.
        by_language: Shape [arms, seeds, languages], NaN likewise; no languages unless asked for.
    """

    target: str
    target_fraction: float | None
    split: str
    language: str | None
    languages: tuple[str, ...]
    metric: str | None
    arms: list[Arm]
    seeds: list[int | None]
    scores: NDArray[np.float64]
    deterministic: NDArray[np.bool_]
    failed: NDArray[np.int64]
    stopped: NDArray[np.int64]
    degenerate: NDArray[np.int64]
    stopped_at: tuple[float | None, ...] = ()
    at_chance: int = 0
    learnt: bool = True
    by_language: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0, 0)))

    def baseline_of(self, row: int) -> int:
        """The row of ``none`` that an arm is compared with: run with the arm's own hyperparameters, else arm 0."""
        wanted = self.arms[row].hyperparameters
        for other, arm in enumerate(self.arms):
            if arm.intermediate == "none" and arm.hyperparameters == wanted and np.isfinite(self.scores[other]).any():
                return other
        return 0

    @property
    def has_baseline(self) -> bool:
        """Whether there is a score of ``none``, without which there are no gains."""
        return bool(np.isfinite(self.scores[0]).any())


def build_stratum(
    place: Place, finals: Sequence[Final], unfinished: Sequence[Unfinished], keep_degenerate: bool = False
) -> Stratum:
    """Arranges the final scores of one stratum; see `Results.stratum_scores`."""
    of_arm: dict[Arm, list[Final]] = defaultdict(list)
    for final in finals:
        of_arm[final.arm].append(final)
    arms = _order(of_arm, {one.arm for one in unfinished})
    seeds: list[int | None] = [*sorted({final.seed for final in finals if final.seed is not None})] or [None]
    columns_of: dict[int | None, Sequence[int]] = {seed: (column,) for column, seed in enumerate(seeds)}
    columns_of[None] = range(len(seeds))
    void = set() if keep_degenerate else _void_chance(of_arm)
    deterministic = np.zeros(len(arms), dtype=np.bool_)
    degenerate = np.zeros(len(arms), dtype=np.int64)
    kept: list[Final] = []
    places: list[int] = []
    for row, arm in enumerate(arms):
        own = of_arm.get(arm, [])
        allowed = (None, CHANCE) if arm in void else (None,)
        sound = [final for final in own if final.rule in allowed]
        degenerate[row] = len(own) - len(sound)
        deterministic[row] = any(final.seed is None for final in own)
        used = own if keep_degenerate else sound
        if deterministic[row]:  # where an arm has both, the score that depends on no seed counts
            used = sorted(used, key=lambda final: final.seed is None)
        kept += [final for final in used for _ in columns_of[final.seed]]
        places += [row * len(seeds) + column for final in used for column in columns_of[final.seed]]
    scores, by_language = _filled(len(arms), len(seeds), kept, places)
    row_of = {arm: row for row, arm in enumerate(arms)}
    return Stratum(
        target=place.target,
        target_fraction=place.target_fraction,
        split=place.split,
        language=place.language,
        languages=place.languages,
        metric=place.metric,
        arms=arms,
        seeds=seeds,
        scores=scores,
        deterministic=deterministic,
        failed=_count(unfinished, "failed", row_of),
        stopped=_count(unfinished, "stopped", row_of),
        degenerate=degenerate,
        stopped_at=_stopped_at(unfinished, arms),
        at_chance=sum(final.rule == CHANCE for arm in void for final in of_arm[arm]),
        learnt=not finals or 2 * sum(final.rule == CHANCE for final in finals) < len(finals),
        by_language=by_language,
    )


def _filled(
    arms: int, seeds: int, finals: Sequence[Final], places: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`Stratum.scores` and `Stratum.by_language`, from scores at their places in the flat table; NaN elsewhere."""
    scores = np.full(arms * seeds, np.nan)
    scores[places] = [final.score for final in finals]
    each = [final.by_language for final in finals if final.by_language is not None]
    by_language = np.full((arms * seeds, len(each[0]) if each else 0), np.nan)
    if each:
        by_language[places] = each
    return scores.reshape(arms, seeds), by_language.reshape(arms, seeds, by_language.shape[1])


def _void_chance(of_arm: Mapping[Arm, Sequence[Final]]) -> set[Arm]:
    """Arms whose runs at chance count all the same."""
    at_chance = {arm: sum(final.rule == CHANCE for final in own) for arm, own in of_arm.items()}
    half = 2 * sum(at_chance.values()) >= sum(len(own) for own in of_arm.values())
    return {arm for arm, times in at_chance.items() if times and (half or times == len(of_arm[arm]) > 1)}


def _order(of_arm: Mapping[Arm, Sequence[Final]], unscored: Collection[Arm]) -> list[Arm]:
    """Distinct arms, the baseline first."""
    arms = sorted({*of_arm, *unscored}, key=lambda arm: (arm[0], arm[1] or 0.0, arm[2]))
    baselines = [arm for arm in arms if arm.intermediate == "none"]
    first = max(baselines, key=lambda arm: len(of_arm.get(arm, ())), default=Arm("none", None, ""))
    return [first, *(arm for arm in arms if arm != first)]


def _count(unfinished: Iterable[Unfinished], status: str, row_of: dict[Arm, int]) -> NDArray[np.int64]:
    counts = np.zeros(len(row_of), dtype=np.int64)
    for one in unfinished:
        counts[row_of[one.arm]] += one.status == status
    return counts


def _stopped_at(unfinished: Iterable[Unfinished], arms: list[Arm]) -> tuple[float | None, ...]:
    reached: dict[Arm, float] = defaultdict(float)
    for one in unfinished:
        if one.status == "stopped" and one.rung is not None:
            reached[one.arm] = max(reached[one.arm], one.rung)
    return tuple(reached.get(arm) for arm in arms)


def rank_stratum(
    stratum: Stratum,
    language: str | None,
    eligible: list[bool],
    stream: str,
    learnt: bool = True,
    items: FloatArray | None = None,
) -> Posterior:
    """The posterior of the mean over languages, or of one language, which borrows from the others.

    Args:
        learnt: False where other data (dev beside test) say that the target is not learnt.
        items: ``[arms]``, variance of each score by its items; None where they are taken as given.
    """
    fixed, learnt = stratum.deterministic, learnt and stratum.learnt
    if language is not None and language != stratum.language and len(stratum.languages) > 1:
        found = rank_languages(
            stratum.by_language, stratum.languages, deterministic=fixed, eligible=eligible, stream=stream,
            only=[language], learnt=learnt,
        )  # fmt: skip
        if language in found.by_language:
            return _over_own(with_items(found.by_language[language], items, f"{stream} items"), stratum)
    scores = scores_of(stratum, language)
    answer = rank_arms(scores, deterministic=fixed, eligible=eligible, stream=stream, learnt=learnt, items=items)
    return _over_own(answer, stratum)


def _over_own(answer: Posterior, stratum: Stratum) -> Posterior:
    """The posterior with each arm's gain over ``none`` as it was run with the arm's own hyperparameters."""
    if sum(arm.intermediate == "none" for arm in stratum.arms) < 2:
        return answer
    return replace(answer, base=np.array([stratum.baseline_of(row) for row in range(len(stratum.arms))]))


def scores_of(stratum: Stratum, language: str | None) -> FloatArray:
    """Scores ``[arms, seeds]`` of the mean, or of one of the languages that the stratum has apart."""
    if language is None or language == stratum.language:
        return stratum.scores
    return stratum.by_language[:, :, stratum.languages.index(language)]


def was_run(test: Stratum, row: int) -> bool:
    """Whether anything is known of an arm; the baseline has a row also where it was never run."""
    ended = test.failed[row] + test.stopped[row] + test.degenerate[row]
    return bool(ended or np.isfinite(test.scores[row]).any())
