"""Everything that the page shows, read once from the results."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd

from raystilts.errors import UserError
from raystilts.report.answers import Results
from raystilts.report.arms import ArmAnswer, TargetAnswer, arm_label
from raystilts.report.overall import OverallAnswer, over_targets
from raystilts.results.reader import ResultsWarning
from raystilts.study.schema import Study

#: What is read of a run for its curve.
RUN_COLUMNS = [
    "stage", "attempt", "intermediate", "intermediate_fraction", "target_fraction", "hyperparameters", "status",
    "rung", "steps_planned",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReportData:
    """What is known of a results folder.

    Attributes:
        folder: Where the results are, as the user wrote it.
        study: None for tables from elsewhere.
        answers: One a target and target fraction, for the mean over languages.
        by_language: The same in each language; a target that lacks the language has no answer there.
        overall: Over all targets; None where there is one, or none has been ranked.
        curves: `dev_points`.
        runs: `Results.runs`, every attempt.
        decisions: `Results.decisions`.
        warnings: What was said while reading.
    """

    folder: str
    study: Study | None
    answers: list[TargetAnswer]
    by_language: dict[str, list[TargetAnswer]]
    overall: OverallAnswer | None
    curves: pd.DataFrame
    runs: pd.DataFrame
    decisions: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """The study's name, or that of the folder."""
        return self.study.name if self.study else self.folder.rstrip("/").rsplit("/", 1)[-1]

    @property
    def has_gains(self) -> bool:
        """Whether any arm has a gain: without runs of `none` there is none."""
        return any(arm.gain is not None for answer in self.answers for arm in answer.arms)


def gather(results: Results) -> ReportData:
    """Reads the results.

    Raises:
        UserError: nothing has finished yet, or scores that cannot be compared.
    """
    with _heard() as said:
        answers = results.answers()
        languages = sorted({language for answer in answers for language in answer.languages})
        by_language = {language: results.answers(language=language) for language in languages}
        curves, runs = dev_points(results), results.runs(all_attempts=True)
    return ReportData(
        folder=results.folder.url,
        study=results.study(),
        answers=answers,
        by_language=by_language,
        overall=_overall(answers),
        curves=curves,
        runs=runs,
        decisions=results.decisions(),
        warnings=tuple(dict.fromkeys(said)),
    )


def dev_points(results: Results) -> pd.DataFrame:
    """Main dev scores along training of target stages that finished or were stopped, with the run's arm.

    Returns:
        `Results.dev_curves` of the attempt that counts, and intermediate, intermediate_fraction, target_fraction,
        hyperparameters, status, rung; share of the full training (where the number of updates is not known: of the
        last step).
    """
    runs = results.runs()
    runs = runs[runs["status"].isin(["finished", "stopped"])][RUN_COLUMNS]
    points = results.dev_curves()
    points = points[points["is_main"] & (points["kind"] == "target")].merge(runs, on=["stage", "attempt"])
    last = points.groupby("stage")["step"].transform("max").clip(lower=1)
    planned = points["steps_planned"].where(points["steps_planned"] > 0, last)
    return points.assign(share=(points["step"] / planned).astype(float))


def _overall(answers: list[TargetAnswer]) -> OverallAnswer | None:
    """Over all targets, where there are several that can be combined."""
    if len(answers) < 2:
        return None
    try:
        return over_targets(answers)
    except UserError:
        return None


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collects warnings about the results, which the page repeats; others go on as usual."""
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResultsWarning)
        yield said
    for warning in caught:
        if issubclass(warning.category, ResultsWarning):
            said.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def target_name(answer: TargetAnswer) -> str:
    """A target as people read it: `xnli`, or `xnli 25%` for a part of its data."""
    return arm_label(answer.target, answer.target_fraction)


def arm_names(arms: tuple[ArmAnswer, ...]) -> list[str]:
    """A name for each arm of a target, with the settings that differ where a label stands for several arms."""
    labels = [arm.label for arm in arms]
    several = {label for label, times in Counter(labels).items() if times > 1}
    found = []
    for label, arm in zip(labels, arms, strict=True):
        twins = [other for other, name in zip(arms, labels, strict=True) if name == label]
        found.append(f"{label} ({_differing(arm, twins)})" if label in several else label)
    return found


def _differing(arm: ArmAnswer, twins: list[ArmAnswer]) -> str:
    """The settings of an arm in which its twins are not all alike, as `learning_rate=2e-05, seed=1`."""
    own = arm.hyperparameters
    names = sorted({key for twin in twins for key in twin.hyperparameters})
    return ", ".join(
        f"{key}={json.dumps(own.get(key))}"
        for key in names
        if len({json.dumps(twin.hyperparameters.get(key), sort_keys=True) for twin in twins}) > 1
    )
