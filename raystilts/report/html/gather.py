"""Everything that the page shows, read once from the results; the question and the answers as sentences."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd

from raystilts.analysis.above_chance import with_constants
from raystilts.analysis.language_distances import uriel_distances
from raystilts.analysis.presentation import listed
from raystilts.errors import UserError
from raystilts.report.completeness import completeness
from raystilts.report.html.markup import count, interval, points, probability, score
from raystilts.report.text import measured_on
from raystilts.results.answers import ArmAnswer, TargetAnswer, arm_names
from raystilts.results.over_targets import OverallAnswer, over_targets
from raystilts.results.reader import ResultsWarning
from raystilts.results.results import Results
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
        complete: How much of the study is there, in words.
        distances: Syntactic distance of each language from English, where URIEL+ is installed and knows it.
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
    complete: str = ""
    distances: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The study's name, or that of the folder."""
        return self.study.name if self.study else self.folder.rstrip("/").rsplit("/", 1)[-1]

    @property
    def imported(self) -> tuple[str, ...]:
        """The files that the scores were imported from, where all of them were."""
        sources = self.runs["source"]
        if not len(sources) or sources.isna().any():
            return ()
        parts = {part for text in sources.unique() for part in str(text).split("; ")}
        return tuple(sorted({part.partition(", sha256 ")[0] for part in parts if ", sha256 " in part}))

    @property
    def baseline(self) -> str:
        """What the arm `none` is called."""
        return next((answer.baseline for answer in self.answers), "none")

    @property
    def has_intervals(self) -> bool:
        """Whether any gain has an interval; none has where no arm has a second seed."""
        return any(arm.gain_low is not None for answer in self.answers for arm in answer.arms)

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
        answers = with_constants(results, results.answers())
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
        complete="" if (found := completeness(results)) is None else found.sentence(),
        distances=_distances(languages),
    )


def _distances(languages: Sequence[str]) -> Mapping[str, float]:
    """Distances for a chart: of several languages, where they can be had."""
    try:
        return uriel_distances(languages).values.get("syntactic", {}) if len(languages) > 1 else {}
    except UserError:
        return {}


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


def question(data: ReportData) -> str:
    """What the study asks."""
    targets = list(dict.fromkeys(answer.target for answer in data.answers))
    encoder = encoder_name(data)
    what = f"the target {targets[0]}" if len(targets) == 1 else f"each of {len(targets)} targets"
    return f"On which intermediate task should {encoder or 'the encoder'} be trained first, before {what}?"


def encoder_name(data: ReportData) -> str:
    """The encoder without the folder that it lay in; empty where the tables do not say."""
    # What an import calls an encoder of which its table says nothing.
    nameless = {"", "unknown"} if data.imported else {""}
    names = sorted({str(name).rstrip("/") for name in data.runs["encoder"].dropna()} - nameless)
    return listed([name.rsplit("/", 1)[-1] if name.startswith((".", "/", "~")) else name for name in names])


def method(data: ReportData) -> str:
    """What was tried, in one or two sentences."""
    arms = [arm for answer in data.answers for arm in answer.arms]
    names = {arm.intermediate for arm in arms if arm.intermediate != "none"}
    fractions = {arm.intermediate_fraction for arm in arms if arm.intermediate_fraction is not None}
    seeds = sorted({arm.seeds for arm in arms if arm.seeds})
    with_none = any(arm.intermediate == "none" for arm in arms)
    tried = count(len(names), "intermediate")
    tried += f" at {len(fractions)} data fractions" if len(fractions) > 1 else ""
    tried += f" and {data.baseline} were" if with_none else " were" if len(names) != 1 else " was"
    many = f"{seeds[0]} to {seeds[-1]} seeds" if len(seeds) > 1 else count(seeds[0], "seed") if seeds else "no seed"
    languages = {language for answer in data.answers for language in answer.languages}
    scored = f"scored on {measured_on(data.answers)} data in {count(len(languages), 'language')}"
    return f"{tried} tried with {many} each, and {scored}."


def leader(answer: TargetAnswer) -> ArmAnswer | None:
    """The arm most probably best (where probabilities are unknown, the one with the highest mean)."""
    inside = [arm for arm in answer.arms if arm.in_best_set and arm.seeds]  # an arm without a run is not taken
    return max(inside, key=lambda arm: (arm.p_best or 0.0, arm.mean or 0.0), default=None)


def leader_sentence(answer: TargetAnswer) -> str:
    """What is known of the leading arm: its probability, gain and expected regret."""
    first = leader(answer)
    if first is None:
        return ""
    label = arm_names(answer.arms)[answer.arms.index(first)]
    if first.p_best is None:
        return f"{label} has the highest mean, {score(first.mean)}; with one seed an arm nothing more can be said."
    certainty = f"P(best) {probability(first.p_best)}"
    if first.intermediate == "none":
        if first.baseline != "none":
            return f"{label}, the baseline, is the likeliest best ({certainty}). {_best_gain(answer)}"
        return f"To train on none first is the likeliest best ({certainty}). {_best_gain(answer)}"
    if first.gain is None:
        return f"{label} is the likeliest best ({certainty}), mean {score(first.mean)}.{_regret(first)}"
    doubt = (
        ""
        if (first.gain_low or 0.0) > 0
        else " A gain is not certain."
        if first.gain > 0
        else " It does not gain there."
    )
    return f"{label} is the likeliest best ({certainty}). On {answer.data}: {gain_words(first)}.{doubt}{_regret(first)}"


def gain_words(arm: ArmAnswer) -> str:
    """A gain in words, with its interval where it is known."""
    known = interval(arm.gain_low, arm.gain_high)
    certain = f" (95 % interval {known})" if known else ""
    return f"{points(arm.gain)} points over {arm.baseline}{certain}"


def _regret(arm: ArmAnswer) -> str:
    if not arm.expected_regret or arm.expected_regret < 0.0005:
        return ""
    return f" Taking it is expected to lose {score(arm.expected_regret)} points against the best."


def _best_gain(answer: TargetAnswer) -> str:
    """The competing intermediate with the highest gain, beside a leading `none`."""
    others = [i for i, arm in enumerate(answer.arms) if arm.competes and arm.gain is not None]
    if not others:
        return ""
    top = max(others, key=lambda i: answer.arms[i].gain or 0.0)
    return f"The highest gain is that of {arm_names(answer.arms)[top]}: {gain_words(answer.arms[top])}."


def all_exploratory(data: ReportData) -> bool:
    """Whether no target has dev data that could choose."""
    return all(arm.selection == "test" for answer in data.answers for arm in answer.arms)


def missing(data: ReportData) -> list[str]:
    """What this page cannot show, and why."""
    found = []
    if not data.has_gains:
        found.append(f"Gains over {data.baseline} are not known; arms are still compared with one another.")
    if all_exploratory(data):
        known = any(arm.p_best is not None for answer in data.answers for arm in answer.arms)
        dev = all(answer.data == "dev" for answer in data.answers)
        missing_split, same = ("test", "dev") if dev else ("dev", "test")
        exploratory = ", so every P(best) is exploratory" if known else ""
        found.append(f"No {missing_split} data: arms are chosen and scored on the same {same} data{exploratory}.")
    if data.study is None:
        found.append("The tables came without a study file: how to run it again is not known.")
    if not len(data.runs) or not (data.runs["seconds"] > 0).any():
        found.append("The tables do not say how long runs took: there is no cost.")
    return found
