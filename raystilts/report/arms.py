"""What is answered for one target: its arms, each with its score, gain and certainty."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from raystilts.ranking.advice import Advice, advise
from raystilts.ranking.posterior import Posterior

#: Further seeds that are thought about in a sentence.
LOOK_AHEAD = 8

Selection = Literal["en_dev", "target_dev", "test"]


@dataclass(frozen=True, slots=True)
class ArmAnswer:
    """One arm of one stratum.

    Attributes:
        language: None for the mean over languages.
        mean: Mean score over the finished seeds, 0 to 1.
        gain: Posterior mean of the score minus that of `none` on `split`, with its 95 % interval.
        p_best: Probability that no competing arm is better, by the data of `selection`.
        expected_regret: What choosing this arm is expected to lose against the best, by the data of `selection`.
        in_best_set: Whether the arm is among those not told apart from the best.
        competes: Whether the arm may be called best (its fraction is compared, its data is not the target's own).
        overlap: Whether the intermediate trains on the target's own training data.
        seeds: Finished runs; `stopped`, `failed` and `degenerate` ones are not among them.
        selection: Which data chose: English dev, the target language's dev, or (for want of dev data) test itself.
        stopped_at: The largest share of the budget that a stopped run has reached.
    """

    target: str
    language: str | None
    target_fraction: float | None
    intermediate: str
    intermediate_fraction: float | None
    mean: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    p_best: float | None
    expected_regret: float | None
    in_best_set: bool
    competes: bool
    overlap: bool
    seeds: int
    stopped: int
    failed: int
    degenerate: int
    hyperparameters: dict[str, Any]
    metric: str
    split: str
    selection: Selection
    stopped_at: float | None = None

    @property
    def label(self) -> str:
        """The arm as people read it."""
        return arm_label(self.intermediate, self.intermediate_fraction)

    def to_json(self) -> dict[str, Any]:
        """As JSON: every field by its name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class TargetAnswer:
    """One stratum: its arms, best first, and what a reader must be told.

    Attributes:
        languages: The languages behind every score.
        best: Arms not told apart from the best, by falling P(best).
        strict: Whether `best` is Hsu's worst-case set instead of the posterior's.
        choice: The posterior that chose, None where nothing has been ranked.
        gains: The posterior that the gains are from.
        choice_arms: Intermediate and fraction of each row of `choice`; likewise `gain_arms`.
    """

    target: str
    target_fraction: float | None
    language: str | None
    languages: tuple[str, ...]
    metric: str
    arms: tuple[ArmAnswer, ...]
    best: tuple[str, ...]
    notes: tuple[str, ...]
    strict: bool = False
    choice: Posterior | None = field(default=None, repr=False, compare=False)
    gains: Posterior | None = field(default=None, repr=False, compare=False)
    choice_arms: tuple[tuple[str, float | None], ...] = field(default=(), repr=False, compare=False)
    gain_arms: tuple[tuple[str, float | None], ...] = field(default=(), repr=False, compare=False)

    @cached_property
    def advice(self) -> Advice | None:
        """How many more seeds of which arms would decide; None where nothing has been ranked."""
        return None if self.choice is None else advise(self.choice, max_seeds=LOOK_AHEAD)

    def advised(self, advice: Advice) -> tuple[str, ...]:
        """Labels of the arms that an advice names."""
        return tuple(arm_label(*self.choice_arms[i]) for i in advice.arms)


def arm_label(intermediate: str, fraction: float | None) -> str:
    """An arm as people read it: `squad`, or `squad 25%` for a part of its data."""
    return intermediate if fraction in (None, 1.0) or fraction is None else f"{intermediate} {100 * fraction:g}%"


def arm_names(arms: Sequence[ArmAnswer]) -> list[str]:
    """Labels of a target's arms; where one stands for several, with the settings that differ."""
    labels = Counter(arm.label for arm in arms)
    return [arm.label if labels[arm.label] == 1 else f"{arm.label} ({_differing(arm, arms)})" for arm in arms]


def _differing(arm: ArmAnswer, arms: Sequence[ArmAnswer]) -> str:
    twins = [other.hyperparameters for other in arms if other.label == arm.label]
    names = sorted({name for twin in twins for name in twin})
    odd = [name for name in names if len({json.dumps(twin.get(name)) for twin in twins}) > 1]
    return ", ".join(f"{name}={json.dumps(arm.hyperparameters.get(name))}" for name in odd)
