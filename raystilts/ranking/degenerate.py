"""Failed runs, told by their process and not by being score outliers.

Fine-tuning on small data sometimes collapses (Mosbach et al., "On the Stability of Fine-tuning
BERT", ICLR 2021). An outlier test on final scores catches about half of such runs and drops good
ones; these rules look at what happened: nan, an English dev score that guessing explains, a
training loss that does not fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from raystilts.errors import UserError

Rule = Literal["nan", "chance", "loss"]
MIN_LOSSES = 8  # fewer reports than this do not show a trend


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run; leave out what is not.

    Attributes:
        scores: Final scores, any metric.
        losses: Training loss in the order of steps, at equal intervals.
        dev_score: English dev score of an accuracy-like metric, in 0..1.
        dev_examples: Items behind `dev_score`.
        chance: Score of guessing on the same items, in 0..1; None if the metric has none.
    """

    scores: Sequence[float] = ()
    losses: Sequence[float] = ()
    dev_score: float | None = None
    dev_examples: int | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """Why a run counts as failed.

    Attributes:
        rule: Name kept in the ledger.
        reason: One sentence with the offending numbers.
    """

    rule: Rule
    reason: str


def is_broken(rule: str | None) -> bool:
    """Whether a run broke in training (not a number, or a loss that does not fall), by its rule in the ledger.

    The chance rule is none of these: on a hard target every run may be at chance, and none is broken.
    """
    return rule in ("nan", "loss")


def flag_run(facts: RunFacts) -> Flag | None:
    """The first rule that the run breaks (nan, chance at the one-sided level .05, loss), or None."""
    dev = [] if facts.dev_score is None else [facts.dev_score]
    if not np.isfinite([*facts.scores, *facts.losses, *dev]).all():
        return Flag("nan", "a score or a training loss is not a finite number")
    if facts.dev_score is not None and facts.dev_examples and facts.chance is not None:
        p_value = chance_p_value(facts.dev_score, facts.dev_examples, facts.chance)
        if p_value > 0.05:
            reason = (
                f"English dev score {facts.dev_score:.4g} on {facts.dev_examples} items is not "
                f"above chance {facts.chance:.4g} (one-sided p = {p_value:.2g})"
            )
            return Flag("chance", reason)
    if not loss_falls(facts.losses):
        first, last = _ends(facts.losses)
        return Flag("loss", f"training loss does not fall: {first:.4g} at first, {last:.4g} last")
    return None


def chance_p_value(score: float, examples: int, chance: float) -> float:
    """P(a guesser scores at least `score`): one-sided exact binomial test.

    Args:
        score: Share of right answers, 0..1.
        examples: Number of items, >= 1.
        chance: Success probability of guessing, 0..1.
    """
    if not 0.0 <= score <= 1.0 or not 0.0 <= chance <= 1.0 or examples < 1:
        raise UserError(
            f"score {score}, chance {chance} and examples {examples} were given, but shares must "
            "lie in 0..1 and examples be at least 1; scores in percent must be divided by 100"
        )
    return _binomial_tail(round(score * examples), examples, chance)


def _binomial_tail(least: int, trials: int, share: float) -> float:
    """P(at least so many of the trials succeed), summed: loading scipy would take a second in every worker."""
    if least <= 0 or share >= 1.0:
        return 1.0
    if least > trials or share <= 0.0:
        return 0.0
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + 1)))])
    hits = np.arange(least, trials + 1)
    ways = factorials[trials] - factorials[hits] - factorials[trials - hits]
    logs = ways + hits * np.log(share) + (trials - hits) * np.log1p(-share)
    return float(min(1.0, np.exp(logs).sum()))


def loss_falls(losses: Sequence[float], *, min_fall: float = 0.01) -> bool:
    """Whether the last quarter's mean loss is below the first quarter's by a share `min_fall`.

    Fewer than 8 values are not judged, and count as falling.
    """
    if len(losses) < MIN_LOSSES:
        return True
    first, last = _ends(losses)
    return last < first - min_fall * abs(first)


def _ends(losses: Sequence[float]) -> tuple[float, float]:
    quarter = max(1, len(losses) // 4)
    return float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
