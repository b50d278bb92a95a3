"""What a search found: the best values of each unit, and how far they can be trusted.

The file of chosen values that a search leaves, for grids to name under `hyperparameters: {from: FILE}`.

A search as an Optuna storage, for optuna-dashboard and Optuna's own plots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from raystilts.errors import UserError
from raystilts.study.hyperparameters import Evidence, Overrides, Tuned, TunedTask
from raystilts.study.schema import Study
from raystilts.study.search import Range, Space, Value
from raystilts.tuning.sampler import Observed, frozen, optuna_study
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


def chosen(study: Study, outcomes: Sequence[UnitOutcome]) -> Tuned:
    """The best values of each unit that has any, with their evidence."""
    tasks = {one.unit.name: task for one in outcomes if (task := _task(one)) is not None}
    return Tuned(encoder=study.encoder.model_name_or_path, study=study.name, tasks=tasks)


def _task(one: UnitOutcome) -> TunedTask | None:
    if one.best is None or one.best.value is None:
        return None
    values = {name: value for name, value in one.best.values.items() if name != ARM}
    arm = one.best.values.get(ARM)
    evidence = Evidence(
        metric=one.metric,
        score=round(one.best.value, 4),
        next_best=tuple(round(score, 4) for score in one.next_best),
        trials=len(one.trials),
        stopped=one.count("stopped"),
        failed=one.count("failed") + one.count("lost"),
        converged=one.converged,
        importance=dict(one.importance),
        notes=one.notes,
    )
    return TunedTask(
        values=Overrides.model_validate(values), intermediate=None if arm is None else str(arm), evidence=evidence
    )


def chosen_text(study: Study, outcomes: Sequence[UnitOutcome]) -> str:
    """The file's text."""
    head = f"# What the search of study {study.name} chose. For a grid: hyperparameters: {{from: THIS_FILE}}\n"
    return head + yaml.safe_dump(_plain(chosen(study, outcomes)), sort_keys=False, allow_unicode=True, width=110)


def _plain(tuned: Tuned) -> dict[str, Any]:
    """As the file says it: values that were set, no empty fields."""
    found: dict[str, Any] = {"encoder": tuned.encoder, "study": tuned.study, "tasks": {}}
    for name, task in tuned.tasks.items():
        values = task.values.model_dump(mode="json", exclude_unset=True)
        evidence = {k: v for k, v in task.evidence.model_dump(mode="json").items() if v not in (None, [], {})}
        arm = {} if task.intermediate is None else {"intermediate": task.intermediate}
        found["tasks"][name] = {"values": values, **arm, "evidence": evidence}
    return found


def export(url: str, study_name: str, outcomes: Sequence[tuple[Space, UnitOutcome]]) -> list[str]:
    """Writes one Optuna study a unit, named `<study>/<unit>`; returns their names.

    Args:
        url: An Optuna storage such as `sqlite:///search.db`.

    Raises:
        UserError: the storage cannot be opened, or holds a study of that name.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = []
    for space, one in outcomes:
        name = f"{study_name}/{one.unit.name}"
        try:
            study = optuna.create_study(storage=url, study_name=name, direction="maximize")
        except optuna.exceptions.DuplicatedStudyError:
            raise UserError(f"{url} holds a study {name!r} already; give another file") from None
        except Exception as error:  # the storage's own errors are of many kinds (SQLAlchemy's, the driver's)
            raise UserError(f"{url}: not an Optuna storage ({str(error).splitlines()[0][:120]}); "
                            "give one such as sqlite:///search.db") from None  # fmt: skip
        study.add_trials([frozen(space, trial) for trial in one.trials])
        study.set_metric_names([one.metric])
        names.append(name)
    return names
