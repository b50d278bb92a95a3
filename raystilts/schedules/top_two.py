"""Top-two sampling on one posterior for all targets: each next run where it tells most of what is best.

After Russo, "Simple Bayesian Algorithms for Best Arm Identification" (COLT 2016): runs go to the arm that is the best
with the posterior's probability, or to its challenger. Here many targets share one posterior (`ranking.joint`) and one
budget, so each is weighed by what is still lost there, and by what a run costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from raystilts.ranking.intervals import BoolArray, FloatArray
from raystilts.ranking.joint import joint_posterior
from raystilts.schedules.base import BASELINE, Reports, Run, ScheduleSettings, SharedRule, Verdict

_BURN, _DRAWS = 40, 80  # sweeps of a round
_FINAL_BURN, _FINAL_DRAWS = 100, 1000  # of the answer
_SURE = 0.95
_LEAST_ROUND = 4  # runs of a round by default, where there are few strata
_PRIOR_STARTS, _SPREAD_WITH_PRIOR, _SPREAD_ALONE = 2, 1, 5  # arms of a target that start


#: The prior that is no folder.
TEXT = "text"


class TopTwo(ScheduleSettings):
    """Top-two sampling on one posterior for all targets: each next run where it tells most of what is best.

    At most one of `budget`, `runs` and `gpu_hours` is given; without any, `budget` is `DEFAULT_BUDGET` with a prior,
    `BUDGET_BY_TEXT` with the similarity of texts alone, and `BUDGET_ALONE` without.

    Attributes:
        budget: Target runs, as a share of the full grid's.
        runs: Target runs.
        gpu_hours: Device time of targets and intermediates together.
        tolerance: A target is done when the expected regret of its leader is below so many points (hundredths of a
            score), or when the leader is the best with probability .95. None: the budget is used up.
        prior: Results folders of earlier studies, with any encoder; arms and targets are matched by name. `text`
            stands for the similarity of the tasks' texts by the study's own encoder.
        round_size: Runs that are decided on at a time; None: one for each target, at least 4. Two rounds are
            under way at a time; on more devices than that set it higher.
    """

    name: ClassVar[str] = "top_two"
    example: ClassVar[str] = "budget: 0.25, ..."
    hints: ClassVar[Mapping[str, str]] = {
        "budget": "it is a share of the full grid's target runs, such as 0.25",
        "tolerance": "it is in points, hundredths of a score, such as 0.5",
    }
    DEFAULT_BUDGET: ClassVar[float] = 0.25
    BUDGET_BY_TEXT: ClassVar[float] = 0.30
    BUDGET_ALONE: ClassVar[float] = 0.35

    budget: Annotated[float, Field(gt=0, le=1)] | None = None
    runs: Annotated[int, Field(ge=1)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=100)] | None = None
    prior: tuple[str, ...] = ()
    round_size: Annotated[int, Field(ge=1)] | None = None

    @field_validator("prior", mode="before")
    @classmethod
    def _is_a_list(cls, prior: Any) -> Any:
        return (prior,) if isinstance(prior, str) else prior

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        given = [name for name in ("budget", "runs", "gpu_hours") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} both limit what is trained; give one of them")
        return self

    @property
    def share(self) -> float:
        """The budget as a share of the full grid's target runs, where it is neither `runs` nor `gpu_hours`."""
        return self.budget or self.usual

    @property
    def usual(self) -> float:
        """The share that found the best arm of real targets about as often as the full grid (docs, schedules)."""
        if not self.prior:
            return self.BUDGET_ALONE
        return self.BUDGET_BY_TEXT if self.prior == (TEXT,) else self.DEFAULT_BUDGET


Budget = Callable[[Sequence[tuple[str, Run]], int], int]


@dataclass(frozen=True, slots=True, eq=False)
class TopTwoSettings:
    """What governs the sampling.

    Attributes:
        budget: How many more runs may be started, from the runs of closed rounds and the number of those under way.
        round_size: Runs that are decided on at a time; None: one for each stratum, at least 4.
        tolerance: A stratum is done when its leader's expected regret is below this, in the unit of the scores, or its
            probability of being the best is .95; None: the budget is used up.
        prior: What earlier studies expect of a stratum's arm, standardised; absent where unknown.
        prices: Cost of an arm's intermediate in target runs; 0 where absent.
    """

    budget: Budget
    round_size: int | None = None
    tolerance: float | None = None
    prior: Mapping[tuple[str, str], float] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)


def limited_to(runs: int) -> Budget:
    """A budget of so many runs."""
    return lambda closed, under_way: runs - len(closed) - under_way


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What is known of one stratum from closed rounds.

    Attributes:
        mean: Posterior mean of each arm, in the unit of the scores.
        p_best: Probability that no arm is better.
        leader: The arm with the highest posterior mean of those with a score; None without a score.
        regret: Expected loss of the leader (without one, of the arm with the highest mean) against the best arm.
        unit: Spread of the stratum's scores.
        scored: Arms with a score.
    """

    mean: Mapping[str, float]
    p_best: Mapping[str, float]
    leader: str | None
    regret: float
    unit: float
    scored: frozenset[str]

    @property
    def best_first(self) -> list[str]:
        """Arms by P(best), then by mean, then by name."""
        return sorted(self.mean, key=lambda arm: (-self.p_best[arm], -self.mean[arm], arm))

    @property
    def best_mean(self) -> float:
        """The highest posterior mean."""
        return max(self.mean.values())


class TopTwoRule(SharedRule):
    """Decides for all strata of a study; `of` gives what drives a single one.

    It starts with one seed of the prior's first two arms of each stratum and one more arm, five without a prior, spread
    over the arms. Then it decides round by round. Two rounds are under way at a time, so that no device waits for the
    last run of a round; a round is decided from the rounds before, all of whose runs have ended. So neither the order
    of arrival nor a restart changes a decision, and the random numbers are fixed by the scores.

    The runs of a round go to the cells with the highest

        q_a R / (g sqrt(1 + n_a)) / (1 + (c_a / 4) [the arm's intermediate for that seed is not trained yet])

    q_a is the probability that a is drawn as the best arm or as its challenger, each half of the time; R the expected
    regret of the stratum's leader, in units g of the stratum's spread; n_a the runs that the cell has; c_a the price of
    an intermediate. A failed run counts in n and is no score.

    The baseline is an arm that is never dropped; it also gets the seeds that its stratum's two leaders have.

    Args:
        strata: The runs of each stratum; an arm gets its seeds in the order in which they are given.
        settings: What governs the sampling.
    """

    def __init__(self, strata: Mapping[str, Iterable[Run]], settings: TopTwoSettings) -> None:
        super().__init__(strata)
        self._settings = settings
        self._reports = {key: Reports(runs, (1.0,)) for key, runs in strata.items()}
        self._keys = list(strata)
        self._arms = sorted({arm for reports in self._reports.values() for arm in reports.arms})
        self._rounds: list[list[tuple[str, Run]]] = []
        self._closed = 0
        self._asked: dict[str, set[Run]] = {key: set() for key in strata}
        self._over = False
        self._add(self._start())
        self._advance()

    @property
    def rounds_decided(self) -> int:
        """See `SharedRule`."""
        return len(self._rounds)

    def wanted(self, key: str) -> dict[Run, float]:
        """See `SharedRule`."""
        return {run: 1.0 for run in self._asked[key] if not self._reports[key].ended(run)}

    def report(self, key: str, run: Run, share: float, score: float | None) -> None:
        """See `SharedRule`."""
        failed = score is None or math.isnan(score)
        if self._reports[key].add(run, 1.0 if failed else share, score):
            self._advance()

    @cached_property
    def _exists(self) -> BoolArray:
        """``[strata, arms]``, whether a stratum has the arm."""
        return np.array([[arm in self._reports[key].arms for arm in self._arms] for key in self._keys])

    @cached_property
    def _prior(self) -> FloatArray | None:
        """``[strata, arms]``, 0 where unknown; None without a prior."""
        known = self._settings.prior
        return np.array([[known.get((key, arm), 0.0) for arm in self._arms] for key in self._keys]) if known else None

    def answers(self) -> dict[str, Standing]:
        """What is known of each stratum from all rounds that are closed, by a long chain."""
        return self._standings(_FINAL_BURN, _FINAL_DRAWS)

    def _advance(self) -> None:
        """Closes what can be closed, and decides what comes next."""
        while self._closed < len(self._rounds) and all(
            self._reports[key].ended(run) for key, run in self._rounds[self._closed]
        ):
            self._closed += 1
            while not self._over and len(self._rounds) - self._closed < 2:
                self._decide()
            if self._over and self._closed == len(self._rounds):
                self._conclude()

    def _add(self, runs: list[tuple[str, Run]]) -> None:
        self._rounds.append(runs)
        for key, run in runs:
            self._asked[key].add(run)

    def _start(self) -> list[tuple[str, Run]]:
        """The first round: the arms that the prior puts first, and others so that each arm starts about as often."""
        used = dict.fromkeys(self._arms, 0)
        found: list[tuple[str, Run]] = []
        for place, key in enumerate(self._keys):
            arms = [arm for arm in self._arms if arm in self._reports[key].arms and arm != BASELINE]
            expected = {arm: self._settings.prior[key, arm] for arm in arms if (key, arm) in self._settings.prior}
            chosen = sorted(expected, key=lambda arm: (-expected[arm], arm))[:_PRIOR_STARTS]
            spread = _SPREAD_WITH_PRIOR if chosen else _SPREAD_ALONE
            turn = place % len(arms) if arms else 0
            others = [arm for arm in arms[turn:] + arms[:turn] if arm not in chosen]
            chosen += sorted(others, key=used.__getitem__)[:spread]
            for arm in chosen:
                used[arm] += 1
            first = [BASELINE, *chosen] if BASELINE in self._reports[key].arms else chosen
            found += [(key, self._reports[key].arms[arm][0]) for arm in first]
        return found[: self._allowed([])]

    def _allowed(self, closed: Sequence[tuple[str, Run]]) -> int:
        return max(0, self._settings.budget(closed, sum(map(len, self._rounds)) - len(closed)))

    def _decide(self) -> None:
        """Adds a round, or finds that there is nothing more to do."""
        closed = [one for decided in self._rounds[: self._closed] for one in decided]
        size = min(self._settings.round_size or max(_LEAST_ROUND, len(self._keys)), self._allowed(closed))
        standings = self._standings(_BURN, _DRAWS) if size else {}
        runs = self._followers(standings)[:size]
        runs += self._best_cells(standings)[: size - len(runs)]
        if not runs:
            self._over = True
            return
        self._add(runs)
        for key in dict.fromkeys(key for key, _ in runs):
            given = {run.arm for of, run in runs if of == key}
            self._note(key, standings[key], given, set())

    def _followers(self, standings: Mapping[str, Standing]) -> list[tuple[str, Run]]:
        """The baseline's runs with the seeds that the two leaders of its stratum have."""
        found = []
        for key, standing in standings.items():
            leaders = [arm for arm in standing.best_first if arm != BASELINE][:2]
            seeds = {run.seed for run in self._asked[key] if run.arm in leaders}
            number = max((sum(run.arm == arm for run in self._asked[key]) for arm in leaders), default=0)
            for place, run in enumerate(self._reports[key].arms.get(BASELINE, ())):
                if run not in self._asked[key] and (place < number or run.seed in seeds):
                    found.append((key, run))
        return found

    def _best_cells(self, standings: Mapping[str, Standing]) -> list[tuple[str, Run]]:
        """The next run of each cell of each stratum that is not done, the most telling first."""
        trained = {run for asked in self._asked.values() for run in asked}
        found: list[tuple[float, float, int, str, Run]] = []
        for place, (key, standing) in enumerate(standings.items()):
            if self._is_done(standing):
                continue
            for arm, drawn in _top_two(standing.p_best).items():
                run = next((run for run in self._reports[key].arms[arm] if run not in self._asked[key]), None)
                if run is None:
                    continue
                number = sum(run.arm == arm for run in self._asked[key])
                value = drawn * standing.regret / standing.unit / math.sqrt(1 + number)
                if arm != BASELINE and run not in trained:
                    value /= 1 + self._settings.prices.get(arm, 0.0) / 4
                behind = (standing.best_mean - standing.mean[arm]) / standing.unit
                found.append((-value, behind, place, arm, run))
        return [(self._keys[place], run) for *_, place, _, run in sorted(found)]

    def _is_done(self, standing: Standing) -> bool:
        tolerance = self._settings.tolerance
        if tolerance is None or standing.leader is None:
            return False
        return standing.regret < tolerance or standing.p_best[standing.leader] >= _SURE

    def _conclude(self) -> None:
        for key, standing in self.answers().items():
            leader = {standing.leader} - {None}
            self._note(key, standing, leader, standing.mean.keys() - leader)

    def _note(self, key: str, standing: Standing, kept: Set[str | None], dropped: Set[str]) -> None:
        """Keeps what was decided of a stratum."""
        order = [arm for arm in standing.best_first if arm != BASELINE]
        scores = {arm: mean for arm, mean in sorted(standing.mean.items()) if arm in standing.scored}
        kept_arms, dropped_arms = (tuple(arm for arm in order if arm in arms) for arms in (kept, dropped))
        self._verdicts[key].append(Verdict("top_two", len(self._rounds) - 1, 1.0, kept_arms, dropped_arms, scores))

    def _standings(self, burn: int, draws: int) -> dict[str, Standing]:
        """What the closed rounds say."""
        table = self._table()
        scored = np.asarray((~np.isnan(table)).any(axis=2))
        posterior = joint_posterior(table, self._prior, stream="top_two", burn=burn, draws=draws)
        found = {}
        for row, key in enumerate(self._keys):
            arms = [arm for place, arm in enumerate(self._arms) if self._exists[row, place]]
            theta = posterior.theta[row, self._exists[row]]
            names = {arm for place, arm in enumerate(self._arms) if scored[row, place]}
            found[key] = _standing(arms, theta, names, float(posterior.unit[row]))
        return found

    def _table(self) -> FloatArray:
        """``[strata, arms, seeds]`` final scores of closed rounds; nan where there is none."""
        most = max(len(runs) for reports in self._reports.values() for runs in reports.arms.values())
        table = np.full((len(self._keys), len(self._arms), most), np.nan)
        rows = {key: row for row, key in enumerate(self._keys)}
        places = {arm: place for place, arm in enumerate(self._arms)}
        for decided in self._rounds[: self._closed]:
            for key, run in decided:
                reports = self._reports[key]
                seed = reports.arms[run.arm].index(run)
                table[rows[key], places[run.arm], seed] = reports.score(run, 1.0)
        return table


def _standing(arms: Sequence[str], theta: FloatArray, scored: Set[str], unit: float) -> Standing:
    """From ``theta[arms, draws]``."""
    best = np.bincount(theta.argmax(axis=0), minlength=len(arms)) / theta.shape[1]
    means = dict(zip(arms, theta.mean(axis=1).tolist(), strict=True))
    candidates = [arm for arm in arms if arm in scored] or list(arms)
    leader = min(candidates, key=lambda arm: (-means[arm], arm))
    regret = float((theta.max(axis=0) - theta[arms.index(leader)]).mean())
    p_best = dict(zip(arms, best.tolist(), strict=True))
    return Standing(means, p_best, leader if scored else None, regret, unit, frozenset(scored))


def _top_two(p_best: Mapping[str, float]) -> dict[str, float]:
    """How probable it is that each arm is drawn: as the best, or as the best of the others."""
    odds = {arm: share / (1 - share) if share < 1 else 0.0 for arm, share in p_best.items()}
    total = math.fsum(odds.values())
    return {arm: (share + share * (total - odds[arm])) / 2 for arm, share in p_best.items()}
