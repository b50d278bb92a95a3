"""The choice of a study whose schedule adapts: by one posterior of all its targets, and what earlier studies expect."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from raystilts.filesystem import Folder
from raystilts.ranking.joint import EarlierScores, prior_features
from raystilts.ranking.together import TargetTable, rank_together
from raystilts.results.answers import Chosen, Question, eligible_arms
from raystilts.results.notes import Selection
from raystilts.results.stratum import Arm, Stratum, scores_of
from raystilts.schedules import schedule_name
from raystilts.schedules.base import BASELINE
from raystilts.schedules.halve import Halve
from raystilts.schedules.race import Race
from raystilts.schedules.top_two import TopTwo
from raystilts.study.schema import Study

#: What earlier studies expect of a target's arm, standardised.
Prior = Mapping[tuple[str, str], float]
Key = tuple[str, float | None]
FILE = "prior.json"


#: Schedules that leave so few seeds that targets are better ranked together, and how many targets that takes: after
#: `halve` it is no better on nine targets that have nothing in common (docs, schedules).
ADAPTIVE = {TopTwo.name: 1, Halve.name: 10}


def least_targets(study: Study | None, rules: Collection[str] = ()) -> int | None:
    """With how many targets a folder is answered by one posterior of all; None: never.

    Args:
        rules: Rules of the decisions that are recorded; the study of `raystilts next` has no schedule of its own.
    """
    if study is None or study.search is not None:
        return None
    least = [ADAPTIVE[name] for name in (schedule_name(study.schedule), *rules) if name in ADAPTIVE]
    if isinstance(study.schedule, Race) and study.schedule.is_pooled:
        least.append(ADAPTIVE[Halve.name])  # as few seeds
    return min(least, default=None)


def write_prior(folder: Folder, prior: Prior) -> None:
    """Keeps what a study started from beside its tables, so that answers need no other folder.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows = [{"target": target, "arm": arm, "expected": value} for (target, arm), value in sorted(prior.items())]
    folder.write(FILE, json.dumps(rows, indent=0).encode(), overwrite=True)


def read_prior(folder: Folder, study: Study) -> Prior | None:
    """What the study started from, as its run kept it; None where that cannot be read."""
    try:
        rows = json.loads(folder.read(FILE))
        return {(str(row["target"]), str(row["arm"])): float(row["expected"]) for row in rows}
    except FileNotFoundError:
        schedule = study.schedule
        return None if isinstance(schedule, TopTwo) and schedule.prior else {}
    except (ValueError, KeyError, TypeError):
        return None


def prior_from(earlier: Sequence[EarlierScores], study: Study) -> Prior:
    """What the scores of earlier studies say of a study's targets and arms, matched by name."""
    targets = [target.task for target in study.targets]
    arms = [arm.label for arm in study.intermediates]
    features, known = prior_features(earlier, targets, arms)
    return {
        (target, arm): float(features[row, column])
        for row, target in enumerate(targets)
        for column, arm in enumerate(arms)
        if known[row, column]
    }


@dataclass
class JointChoice:
    """Chooses for all targets of a folder at once; keeps the last answer, which questions of other languages share."""

    folder: Folder
    _asked: object = field(default=None, repr=False)
    _found: dict[Key, Chosen] = field(default_factory=dict, repr=False)

    def __call__(
        self, tests: Mapping[Key, Stratum], devs: Mapping[Key, Stratum], rule: Selection, asked: Question, least: int
    ) -> dict[Key, Chosen]:
        """What was chosen for each target that the schedule governs; others, and those not learnt, are left out.

        Args:
            tests: Every target with scores on test.
            devs: The scores that choose.
            rule: Which data these are of; the target languages' own are asked for in the question's language.
            least: With fewer targets nothing is chosen, see `least_targets`.
        """
        by = asked.language if rule == "target_dev" else None
        governed = {
            key: replace(dev, scores=scores_of(dev, by))
            for key, dev in devs.items()
            if key in tests and _is_governed(tests[key], dev)
        }
        if asked.study is None or len(governed) < least:
            return {}
        prior = read_prior(self.folder, asked.study)
        same: list[object] = [asked.compared, asked.include_overlap, asked.study, prior]
        for key, dev in governed.items():
            same += [key, dev.arms, dev.scores.tobytes()]
        if same != self._asked:
            self._asked, self._found = same, _choose(tests, governed, asked, asked.study, prior)
        return self._found


def _choose(
    tests: Mapping[Key, Stratum], devs: Mapping[Key, Stratum], asked: Question, study: Study, prior: Prior | None
) -> dict[Key, Chosen]:
    rows = {key: _rows(tests[key], dev, asked, study) for key, dev in devs.items()}
    tables = [
        TargetTable(
            [_name(arm, arms) for arm in arms],
            np.vstack([dev.scores, np.full((len(arms) - len(dev.arms), dev.scores.shape[1]), np.nan)]),
            np.array(competes),
            {_name(arm, arms): (prior or {}).get((key[0], arm.intermediate), 0.0) for arm in arms},
        )
        for (key, dev), (arms, competes) in zip(devs.items(), rows.values(), strict=True)
    ]
    found = rank_together(tables, stream=study.name) if tables else None
    if found is None:
        return {}
    notes = () if prior is not None else (LOST_PRIOR,)
    return {
        key: Chosen(posterior, tuple(arms), notes)
        for (key, (arms, _)), posterior in zip(rows.items(), found, strict=True)
    }


LOST_PRIOR = (
    f"{FILE}, what earlier results say of the arms, is missing: P(best) does without it; running the study again, with "
    "nothing left to train, writes it anew"
)


def _is_governed(test: Stratum, dev: Stratum) -> bool:
    """Whether a target is trained, and learnt."""
    trained = test.target_fraction is not None and not dev.deterministic.any()
    return trained and test.learnt and dev.learnt and bool(np.nanmax(dev.scores, initial=0.0) > 0.0)


def _rows(test: Stratum, dev: Stratum, asked: Question, study: Study) -> tuple[list[Arm], list[bool]]:
    """The arms of a target, first those that have rows in `dev`, then the study's that were not run; who competes."""
    allowed = dict(zip(test.arms, eligible_arms(test.arms, test.target, asked), strict=True))
    competes = [allowed.get(arm, False) and known for arm, known in zip(dev.arms, _has_run(dev), strict=True)]
    there = {arm.intermediate for arm, known in zip(dev.arms, _has_run(dev), strict=True) if known}
    failed = {arm.intermediate for arm in (*test.arms, *dev.arms)} - there
    others = [
        Arm(label, asked.compared, "")
        for label in dict.fromkeys(arm.label for arm in study.intermediates)
        if label not in there | failed and label != BASELINE
    ]
    others = [arm for arm, may in zip(others, eligible_arms(others, test.target, asked), strict=True) if may]
    return [*dev.arms, *others], [*competes, *[True] * len(others)]


def _has_run(stratum: Stratum) -> list[bool]:
    known: list[bool] = np.asarray(np.isfinite(stratum.scores).any(axis=1)).tolist()
    return known


def _name(arm: Arm, arms: Sequence[Arm]) -> str:
    """What an arm is called on all targets: its intermediate; where a target has several of it, the first is that."""
    twins = [other for other in arms if other.intermediate == arm.intermediate and _fraction(other) == _fraction(arm)]
    number = twins.index(arm)
    name = arm.intermediate if arm.intermediate_fraction in (None, 1.0) else f"{arm.intermediate} {_fraction(arm):g}"
    return f"{name} {number}" if number else name


def _fraction(arm: Arm) -> float:
    return 1.0 if arm.intermediate_fraction is None else arm.intermediate_fraction
