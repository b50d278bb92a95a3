"""Best on average over targets, for a reader: by mean rank, and by gain in units of each target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raystilts.errors import UserError
from raystilts.ranking.overall import OverallArm, align, rank_overall
from raystilts.ranking.posterior import Posterior
from raystilts.results.answers import TargetAnswer, arm_label
from raystilts.results.baseline import NONE

Name = tuple[str, float | None]


@dataclass(frozen=True, slots=True)
class ArmOverall:
    """One arm over all targets; None where it cannot be said.

    Attributes:
        targets: Targets in which it was run.
        competes: Whether it may be called best in every target.
        mean_rank: Its rank (1 is best) averaged over targets, with its 95 % interval; by the data that chooses.
        p_best_rank: Probability that its mean rank is the lowest.
        scaled_gain: Gain over `none` on test, each target's in units of the spread of one run's score there, averaged
            over targets, with its 95 % interval.
        p_best_gain: Probability that its average is the highest.
        baseline: What the arm `none` is called, see `results.baseline`.
    """

    intermediate: str
    intermediate_fraction: float | None
    targets: int
    competes: bool
    mean_rank: float | None
    rank_low: float | None
    rank_high: float | None
    p_best_rank: float | None
    in_rank_set: bool
    scaled_gain: float | None
    scaled_low: float | None
    scaled_high: float | None
    p_best_gain: float | None
    in_gain_set: bool
    baseline: str = NONE

    @property
    def label(self) -> str:
        """The arm as people read it."""
        return arm_label(self.intermediate, self.intermediate_fraction, self.baseline)


@dataclass(frozen=True, slots=True)
class OverallAnswer:
    """The arms over all targets, the lowest mean rank first.

    Attributes:
        targets: Targets that took part, as people read them; `not_learnt` and, for want of repeated seeds, `left_out`
            are the others.
        by_rank: Arms not told apart from the best by mean rank, best first; likewise `by_gain`.
    """

    language: str | None
    targets: tuple[str, ...]
    not_learnt: tuple[str, ...]
    left_out: tuple[str, ...]
    arms: tuple[ArmOverall, ...]
    by_rank: tuple[str, ...]
    by_gain: tuple[str, ...]
    notes: tuple[str, ...]
    baseline: str = NONE

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def over_targets(answers: Sequence[TargetAnswer]) -> OverallAnswer:
    """Combines the answers of several targets; points of different targets are never averaged.

    Raises:
        UserError: no target has been ranked.
    """
    ranked = [answer for answer in answers if answer.choice is not None and answer.gains is not None]
    if not ranked:
        raise UserError("no target has finished runs to rank over targets; run the study first: raystilts run STUDY")
    others = dict.fromkeys(name for a in ranked for name in a.choice_arms if name[0] != "none")
    names: list[Name] = [("none", None), *sorted(others, key=lambda name: (name[0], name[1] or 0.0))]
    found = rank_overall(
        [_aligned(a.choice, a.choice_arms, names) for a in ranked],
        [_aligned(a.gains, a.gain_arms, names) for a in ranked],
    )
    baseline = ranked[0].baseline
    arms = [_arm(name, arm, baseline) for name, arm in zip(names, found.arms, strict=True) if arm.targets]
    arms.sort(key=lambda arm: (not arm.competes, arm.mean_rank or 0.0, arm.intermediate))
    labels = [answer.label for answer in ranked]
    language = ranked[0].language
    elsewhere = {name for a in ranked if language not in a.choice_languages for name in a.choice_languages}
    notes = [note for note in found.notes if "left out" not in note]  # named above
    lacking = [answer for k, answer in enumerate(ranked) if k in found.used and answer.no_gains]
    if lacking:
        where = "" if len(lacking) == len(found.used) else f"on {', '.join(answer.label for answer in lacking)} "
        notes.insert(0, f"no scaled gain: {where}{lacking[0].no_gains}")
    if language is not None and elsewhere:
        dev = ", ".join(sorted(elsewhere))
        notes.append(f"mean rank and P(best) are from dev data in {dev}: of {language} only the scaled gain")
    return OverallAnswer(
        language=language,
        targets=tuple(labels[k] for k in found.used),
        not_learnt=tuple(labels[k] for k in found.left_out if not ranked[k].learnt),
        left_out=tuple(labels[k] for k in found.left_out if ranked[k].learnt),
        arms=tuple(arms),
        by_rank=tuple(arm_label(*names[i], baseline) for i in found.rank_set),
        by_gain=tuple(arm_label(*names[i], baseline) for i in found.gain_set),
        notes=tuple(notes),
        baseline=baseline,
    )


def _aligned(target: Posterior | None, own: Sequence[Name], names: Sequence[Name]) -> Posterior:
    """Where hyperparameters make several arms of one name, the one with the highest score stands for it."""
    assert target is not None
    rows: dict[Name, int] = {}
    for row, name in enumerate(own):
        if target.fit.present[row] and (name not in rows or target.fit.effects[row] > target.fit.effects[rows[name]]):
            rows[name] = row
    return align(target, [rows.get(name) for name in names])


def _arm(name: Name, arm: OverallArm, baseline: str) -> ArmOverall:
    values = asdict(arm)
    del values["arm"]
    return ArmOverall(*name, competes=arm.mean_rank is not None, baseline=baseline, **values)
