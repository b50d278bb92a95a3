"""What the ledger knows of the dev scores along each run: a driver that starts decides from what the last one saw.

What the schedule of a study wants to be trained now, and how far: a rule a stratum, driven by scores alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raystilts.planning.stages import Plan
from raystilts.ranking.degenerate import is_broken
from raystilts.results.joint_choice import Prior
from raystilts.results.results import Results
from raystilts.results.stratum import CHANCE
from raystilts.schedules import stratum_rule
from raystilts.schedules.asha import Asha
from raystilts.schedules.base import Run, SharedRule, StratumRule, StratumSettings, Verdict
from raystilts.schedules.top_two import TopTwo
from raystilts.scheduling.sampling import Spent, top_two_rule


def known_curves(planned: Plan, results: str | Path) -> dict[str, Curve]:
    """The curves of a plan's target stages, by stage; absent for stages without a score.

    A score is the mean of the main metric over the languages that pick checkpoints and arms, as in training.
    """
    languages = {
        key: stage.tasks[0].picking_languages for key, stage in planned.stages.items() if stage.target is not None
    }
    points: dict[tuple[str, int, str, int], list[tuple[float, bool]]] = defaultdict(list)
    rules: dict[tuple[str, int], str | None] = {}
    frame = Results(results, stages=planned.stages).dev_scores()
    for stage, attempt, status, rule, step, language, value, is_final in frame.itertuples(index=False):
        if language in languages[stage]:
            points[stage, attempt, status, step].append((value, is_final))
            rules[stage, attempt] = rule
    curves: dict[str, Curve] = {}
    for (stage, attempt, status, step), scores in points.items():
        if len(scores) < len(languages[stage]):
            continue  # evaluated on fewer languages, by a study that selects otherwise
        mean = math.fsum(value for value, _ in scores) / len(scores)
        curve = curves.setdefault(stage, Curve())
        curve.steps[step] = mean
        if status == "finished" and all(is_final for _, is_final in scores):
            rule = rules[stage, attempt]
            curve.final, curve.at_chance = math.nan if is_broken(rule) else mean, rule == CHANCE
    return curves


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, and the stratum that it is of."""

    target: str
    target_fraction: float
    verdict: Verdict
    encoder: str = ""


@dataclass(slots=True)
class Curve:
    """What is known of one run's dev scores.

    Attributes:
        steps: Score by the number of updates, of what was evaluated during training.
        final: Score of the weights that it ended with; None before its end.
        at_chance: Whether these are at chance.
        failed: Whether it has failed, and will score no more.
    """

    steps: dict[int, float] = field(default_factory=dict)
    final: float | None = None
    at_chance: bool = False
    failed: bool = False


@dataclass(slots=True)
class _Governed:
    """A stratum under a rule, with the stage of each of its runs and the share that is wanted of each stage."""

    encoder: str
    target: str
    target_fraction: float
    rule: StratumRule
    stages: dict[Run, str]
    goals: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a rule that governs several strata calls it."""
        return _name(self.encoder, self.target, self.target_fraction)


class Strata:
    """The rules of a study's strata, and the shares that they want of each stage; knows nothing of Ray or files.

    Under `schedule: full` no stage is governed. Otherwise those are that compete: trained targets with dev data, at
    the intermediate fraction that is compared, and `none`. All others, also arms that train on the target's own data,
    are trained to the end.

    What is wanted depends on the scores alone, not on who came first, so that the scores of the ledger put a fresh
    driver where the last one was.

    Args:
        planned: The study's plan.
        known: What the ledger knows of runs, by stage.
        prior: What earlier studies expect, where the schedule asks for it.
        spent: Device seconds of stages that have been run, where the schedule has a budget of time.

    Attributes:
        stopped: Stages that a rule has ended before their end, with the share where they stand.
        reached: Share of its budget at which each governed stage was last heard of; absent before its first rung.
        finish_stopped: Whether stopped stages are to be run to the end when nothing else is there to be done.
        curves: What is known of each run's scores, by stage.
        decisions: What was decided and not yet collected by `take_decisions`.
    """

    def __init__(
        self,
        planned: Plan,
        known: Mapping[str, Curve] | None = None,
        prior: Prior | None = None,
        spent: Spent = lambda stages: 0.0,
    ) -> None:
        schedule = planned.study.schedule
        self.stages, self.evaluation = planned.stages, planned.study.evaluation
        self.finish_stopped = isinstance(schedule, Asha) and schedule.finish_stopped
        self.stopped: dict[str, float] = {}
        self.reached: dict[str, float] = {}
        self.decisions: list[Decision] = []
        self.curves = dict(known or {})
        self.prior, self.spent = prior or {}, spent
        self._joint: SharedRule | None = None
        self._strata = self._governed(planned)
        self._of: dict[str, list[_Governed]] = defaultdict(list)
        for stratum in self._strata:
            for key in dict.fromkeys(stratum.stages.values()):
                self._of[key].append(stratum)
        self._advance_all(self._strata)

    def goal(self, key: str) -> float:
        """Share of its budget that a stage may be trained to now.

        0 while its stratum decides, when it has reached what was wanted, and for good when it is not wanted.
        """
        return max((stratum.goals.get(key, 0.0) for stratum in self._of.get(key, ())), default=1.0)

    def governs(self, key: str) -> bool:
        """Whether a stage is under a rule."""
        return key in self._of

    def pause(self, key: str, share: float, score: float | None) -> set[str]:
        """Takes the dev score of a stage at a rung; returns the stages whose goal may have changed."""
        stage = self.stages[key]
        step = self.evaluation.rung(share, stage.steps)
        self._curve(key).steps[step] = float("nan") if score is None else score
        return self._heard(key)

    def finish(self, key: str, score: float | None) -> set[str]:
        """Takes the dev score of a stage that has ended, None where it failed by how it trained; likewise."""
        self._curve(key).final = float("nan") if score is None else score
        return self._heard(key)

    def fail(self, key: str) -> set[str]:
        """Takes note of a stage that failed, or was not run because its parent failed; likewise."""
        self._curve(key).failed = True
        return self._heard(key)

    def take_decisions(self) -> list[Decision]:
        """What was decided since the last call."""
        found, self.decisions = self.decisions, []
        return found

    def _curve(self, key: str) -> Curve:
        return self.curves.setdefault(key, Curve())

    def _heard(self, key: str) -> set[str]:
        return self._advance_all(self._of.get(key, ()))

    def _advance_all(self, strata: Iterable[_Governed]) -> set[str]:
        """Advances strata, and all others as long as a rule that they share decides more."""
        changed: set[str] = set()
        decided = -1 if self._joint is None else self._joint.rounds_decided
        for stratum in strata:
            changed |= self._advance(stratum)
        if self._joint is None:
            return changed
        while self._joint.rounds_decided != decided:
            decided = self._joint.rounds_decided
            for stratum in self._strata:
                changed |= self._advance(stratum)
        for stratum in self._strata:
            self._keep(stratum, self._joint.take_verdicts(stratum.name))
        return changed

    def _keep(self, stratum: _Governed, verdicts: Iterable[Verdict]) -> None:
        self.decisions += [
            Decision(stratum.target, stratum.target_fraction, verdict, stratum.encoder) for verdict in verdicts
        ]

    def _advance(self, stratum: _Governed) -> set[str]:
        """Reports what is known and wanted until nothing more is; then says what is wanted next."""
        while True:
            wanted = stratum.rule.wanted()
            known = [found for run, share in wanted.items() if (found := self._report(stratum, run, share))]
            for run, share, score in known:
                self._keep(stratum, stratum.rule.report(run, share, score))
                key = stratum.stages[run]
                self.reached[key] = max(share, self.reached.get(key, 0.0))
            if not known:
                break
        stratum.goals = {}
        for run, share in wanted.items():
            key = stratum.stages[run]
            stratum.goals[key] = max(share, stratum.goals.get(key, 0.0))
        self.stopped |= {stratum.stages[run]: share for run, share in stratum.rule.stopped().items()}
        return set(stratum.stages.values())

    def _report(self, stratum: _Governed, run: Run, share: float) -> tuple[Run, float, float | None] | None:
        """What can be reported of a run that is wanted to a share; None where that is not known yet."""
        key = stratum.stages[run]
        curve, steps = self._curve(key), self.stages[key].steps
        step = self.evaluation.rung(share, steps)
        if step < steps and step in curve.steps:
            return run, share, curve.steps[step]
        if curve.final is not None:
            # A rung at the very end is the end; a run that has no score at a rung (its weights were there) passes it.
            return run, share if step == steps else 1.0, curve.final
        return (run, share, None) if curve.failed else None

    def _governed(self, planned: Plan) -> list[_Governed]:
        """The strata that compete, each with what drives it."""
        schedule = planned.study.schedule
        if schedule == "full":
            return []
        found = _competing(planned)
        strata = {_name(*place): stages for place, stages in found.items()}
        if isinstance(schedule, TopTwo):
            targets = {_name(*place): place[1] for place in found}
            self._joint = top_two_rule(planned, schedule, strata, targets, self.prior, self.spent)
        elif isinstance(schedule, StratumSettings):
            self._joint = schedule.shared_rule(strata)
        if self._joint is None:
            return [_Governed(*place, stratum_rule(schedule, stages), stages) for place, stages in found.items()]
        return [_Governed(*place, self._joint.of(_name(*place)), stages) for place, stages in found.items()]


#: Encoder (empty where the study has one alone), target and target fraction.
_Stratum = tuple[str, str, float]


def _name(encoder: str, target: str, fraction: float) -> str:
    return f"{encoder} {target} {fraction:g}".lstrip()


def _competing(planned: Plan) -> dict[_Stratum, dict[Run, str]]:
    """The runs of each stratum that compete, with their stages, in the order of the study file."""
    study = planned.study
    found: dict[_Stratum, dict[Run, str]] = {}
    for cell, key in zip(planned.cells, planned.cell_stages, strict=True):
        compared = cell.intermediate_fraction in (None, study.compared_fraction)
        if cell.target_fraction is None or not compared or not planned.stages[key].tasks[0].picking_languages:
            continue
        if planned.stages[key].overlap:
            continue  # never called best there, so no eligible arm may lose to it
        place = cell.encoder, cell.target, cell.target_fraction
        found.setdefault(place, {})[Run(cell.intermediate, cell.seed)] = key
    return found
