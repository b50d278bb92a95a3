"""What a search found: the best values of each unit, and how far they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from raystilts.study.search import Range, Space, Value
from raystilts.tuning.sampler import Observed, optuna_study
from raystilts.tuning.trials import ARM, Unit

#: Trials, finished or stopped, below which nothing is said of importance and convergence.
ENOUGH = 9


@dataclass(frozen=True, slots=True)
class UnitOutcome:
    """The outcome of the search of one unit.

    Attributes:
        trials: All that ended, in the order in which they did.
        best: The finished trial with the best score; None where none finished.
        next_best: Scores of the two behind it.
        converged: Whether the last third of the trials raised the best score by no more than one standard
            error of the dev sample; None for fewer than `ENOUGH` trials.
        importance: Share of the differences in score by hyperparameter (PED-ANOVA, Watanabe et al. 2023, against the
            best tenth); empty for fewer than `ENOUGH` trials.
        notes: What else should be known, in words.
    """

    unit: Unit
    metric: str
    trials: tuple[Observed, ...]
    best: Observed | None
    next_best: tuple[float, ...]
    converged: bool | None
    importance: Mapping[str, float]
    notes: tuple[str, ...]

    def count(self, state: str) -> int:
        """Trials that ended in a state."""
        return sum(trial.state == state for trial in self.trials)


def outcome(unit: Unit, metric: str, space: Space, trials: Sequence[Observed], examples: int) -> UnitOutcome:
    """Sums up the trials of one unit.

    Args:
        examples: Dev examples behind each score.
    """
    finished = [t for t in trials if t.state == "finished" and t.value is not None and math.isfinite(t.value)]
    ranked = sorted(finished, key=lambda t: -(t.value or 0.0))
    best = ranked[0] if ranked else None
    # A stopped trial counts with its score where it was stopped: it was behind there.
    seen = [t for t in trials if t.state in ("finished", "stopped") and t.value is not None and math.isfinite(t.value)]
    enough = len(seen) >= ENOUGH and best is not None
    scores = [float(t.value) for t in seen if t.value is not None]
    return UnitOutcome(
        unit=unit,
        metric=metric,
        trials=tuple(trials),
        best=best,
        next_best=tuple(float(t.value) for t in ranked[1:3] if t.value is not None),
        converged=converged(scores, examples) if enough else None,
        importance=importance(space, [replace(t, state="finished") for t in seen]) if enough else {},
        notes=tuple(_notes(space, best)),
    )


def converged(scores: Sequence[float], examples: int) -> bool:
    """Whether the last third of the trials raised the best score by no more than a standard error of the dev sample.

    Args:
        scores: 0 to 1, in the order of the trials.
        examples: Dev examples behind each.
    """
    first = scores[: math.ceil(2 * len(scores) / 3)]
    best = max(scores)
    error = math.sqrt(max(best * (1 - best), 0.0) / max(examples, 1))
    return best - max(first) <= error


def importance(space: Space, seen: Sequence[Observed]) -> dict[str, float]:
    """Each hyperparameter's share of the differences in score; nothing where all scores are equal."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len({trial.value for trial in seen}) < 2 or len(space) < 2:
        return {}
    study = optuna_study(space, seen)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, 3 / len(seen)))
    found = get_param_importances(study, evaluator=evaluator)
    return {name: round(float(share), 3) for name, share in found.items()}


def _notes(space: Space, best: Observed | None) -> list[str]:
    if best is None:
        return ["no trial finished"]
    edges = [_edge(name, space[name], best.values[name]) for name in space if name != ARM]
    return [edge for edge in edges if edge]


def _edge(name: str, one: Range, value: Value) -> str | None:
    """A sentence where the best value lies within a twentieth of the end of its range."""
    if one.form == "choice" or isinstance(value, str | bool):
        return None
    low, high = one.ends
    place = (value - low) / (high - low)
    if one.form == "loguniform":
        place = math.log(value / low) / math.log(high / low)
    if one.form == "int" and high - low < 4:
        return None
    end = "lower" if place < 0.05 else "upper" if place > 0.95 else None
    return f"{name} is at the {end} end of its range: widen it" if end else None
