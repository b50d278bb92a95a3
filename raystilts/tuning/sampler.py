"""Which values to try next: an Optuna sampler that knows every trial that the ledger holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from raystilts.planning.keys import digest
from raystilts.study.search import MOST_COMBINATIONS, Range, Search, Space, Value

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, Trial


State = Literal["finished", "paused", "stopped", "failed", "lost"]
#: Draws before a sampler that only proposes known values is passed over.
_DRAWS = 30


@dataclass(frozen=True, slots=True)
class Observed:
    """A trial that has ended.

    Attributes:
        state: `failed` where its values made it fail (the loss diverged, memory or time ran out), `lost` where its
            worker did.
        value: Of the searched metric on dev; at the rung where it was stopped or rests; None where the trial failed.
        share: Share of the budget that it was trained for.
    """

    values: Mapping[str, Value]
    state: State
    value: float | None
    share: float = 1.0


def values_key(values: Mapping[str, Value]) -> str:
    """The same for equal values, whatever their order."""
    plain = {n: float(v) if isinstance(v, int) and not isinstance(v, bool) else v for n, v in values.items()}
    return digest(plain)


def distribution(one: Range) -> BaseDistribution:
    """A range in Optuna's words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.form == "choice":
        return CategoricalDistribution(one.values)
    low, high = one.ends
    if one.form == "int":
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high, log=one.form == "loguniform")


def frozen(space: Space, trial: Observed) -> FrozenTrial:
    """A trial as Optuna keeps it.

    One that failed by its values is pruned before its first score, the worst that Optuna knows. Its TPE leaves out what
    is told as failed, and then proposes little else than values that fail. Of a lost one it learns nothing.
    """
    from optuna.trial import TrialState, create_trial

    known = trial.value is not None and math.isfinite(trial.value) and trial.state not in ("failed", "lost")
    states = {"finished": TrialState.COMPLETE if known else TrialState.PRUNED, "lost": TrialState.FAIL}
    state = states.get(trial.state, TrialState.PRUNED)
    reported = {round(100 * trial.share): float(trial.value)} if known and trial.value is not None else {}
    return create_trial(
        state=state,
        params={name: trial.values[name] for name in space},
        distributions={name: distribution(one) for name, one in space.items()},
        value=float(trial.value) if state == TrialState.COMPLETE and trial.value is not None else None,
        intermediate_values=reported if state == TrialState.PRUNED else {},
    )


def optuna_study(space: Space, trials: Iterable[Observed], sampler: BaseSampler | None = None) -> OptunaStudy:
    """An Optuna study that holds these trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([frozen(space, trial) for trial in trials])
    return study


class TrialSampler:
    """Proposes the trials of one unit; never the same values twice.

    Rebuilt from the trials of the ledger after a restart: what Optuna knows is what they say, and its random numbers go
    on elsewhere than where they began, or the first proposals would come again.

    Args:
        space: The ranges.
        search: How to search.
        known: Trials that have ended, in the order in which they did.
    """

    def __init__(self, space: Space, search: Search, known: Iterable[Observed] = ()) -> None:
        known = list(known)
        self.space = space
        self._tried = {values_key(trial.values) for trial in known}
        self._open: dict[str, Trial] = {}
        self._all = self._combinations()
        self._grid = search.sampler == "grid"
        self._distributions = {name: distribution(one) for name, one in space.items()}
        self.study = optuna_study(space, known, _sampler(search, len(known)))

    def ask(self) -> dict[str, Value] | None:
        """Values not tried before; None where all have been."""
        for _ in range(0 if self._grid else _DRAWS):
            trial = self.study.ask(self._distributions)
            values: dict[str, Value] = dict(trial.params)
            if self._take(values):
                self._open[values_key(values)] = trial
                return values
            self._discard(trial)
        for values in self._all or ():
            if self._take(values):
                self.study.enqueue_trial(values)
                self._open[values_key(values)] = self.study.ask(self._distributions)
                return values
        return None

    def tell(self, trial: Observed) -> None:
        """How a proposed trial ended, or how good it was at a rung; it may be told again from further on."""
        from optuna.trial import TrialState

        asked = self._open.pop(values_key(trial.values), None)
        if asked is None:  # told at a rung before (by this process or an earlier one)
            self.study.add_trial(frozen(self.space, trial))
        elif trial.state == "lost":
            self.study.tell(asked, state=TrialState.FAIL)
        elif trial.value is None or not math.isfinite(trial.value) or trial.state == "failed":
            self.study.tell(asked, state=TrialState.PRUNED)
        elif trial.state != "finished":
            asked.report(trial.value, round(100 * trial.share))
            self.study.tell(asked, state=TrialState.PRUNED)
        else:
            self.study.tell(asked, trial.value)

    def _take(self, values: Mapping[str, Value]) -> bool:
        key = values_key(values)
        if key in self._tried:
            return False
        self._tried.add(key)
        return True

    def _discard(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        self.study.tell(trial, state=TrialState.FAIL)

    def _combinations(self) -> Iterator[dict[str, Value]] | None:
        sizes = [one.size for one in self.space.values()]
        # Of a larger space random draws find new values, and writing it out would take the memory.
        if math.prod(size or MOST_COMBINATIONS + 1 for size in sizes) > MOST_COMBINATIONS:
            return None
        grids = [one.grid for one in self.space.values()]
        rows = itertools.product(*(grid for grid in grids if grid is not None))
        return (dict(zip(self.space, row, strict=True)) for row in rows)


def _sampler(search: Search, known: int) -> BaseSampler:
    from optuna.samplers import RandomSampler, TPESampler

    seed = search.seed * 100_003 + known
    if search.sampler == "tpe":
        return TPESampler(seed=seed, multivariate=search.multivariate, n_startup_trials=8)
    return RandomSampler(seed=seed)
