"""The answer to "which intermediate for my target?", with its certainty."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

from raystilts.errors import UserError, did_you_mean
from raystilts.ranking.posterior import Posterior, rank_arms
from raystilts.results.store import Results as StoredResults
from raystilts.results.strata import Arm, Stratum
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import shares_training_data

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


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """One stratum: its arms, best first, and what a reader must be told.

    Attributes:
        languages: The languages behind every score.
        best: Arms not told apart from the best, by falling P(best).
    """

    target: str
    target_fraction: float | None
    language: str | None
    languages: tuple[str, ...]
    metric: str
    arms: tuple[ArmAnswer, ...]
    best: tuple[str, ...]
    notes: tuple[str, ...]


class Results(StoredResults):
    """The tables of a results folder, and the answers from them."""

    def study(self) -> Study | None:
        """The study that the folder was last run with, None for tables from elsewhere.

        Raises:
            UserError: it names tasks or files that are no longer here.
        """
        try:
            text = self.folder.read("study.json")
        except FileNotFoundError:
            return None
        try:
            return Study.model_validate(json.loads(text))
        except ValidationError as error:
            raise UserError(
                f"{self.folder.url}/study.json does not fit any more: {error.errors()[0]['msg']}; run the study again"
            ) from None

    def best(
        self,
        target: str | None = None,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
    ) -> pd.DataFrame:
        """Every arm of every stratum, one row each; see `ArmAnswer` for the columns."""
        found = self.answers(target, language, intermediate_fraction, include_overlap=include_overlap)
        rows = [asdict(arm) for answer in found for arm in answer.arms]
        return pd.DataFrame(rows, columns=list(ArmAnswer.__dataclass_fields__))

    def answers(
        self,
        target: str | None = None,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
    ) -> list[TargetAnswer]:
        """The answer for each target (and target fraction).

        Args:
            target: Only this one.
            language: In this language; default the mean over the target's languages.
            intermediate_fraction: The fraction at which arms compete; default the study's `compare_at`.
            include_overlap: Let arms compete that train on the target's own data.

        Raises:
            UserError: a target, language or fraction that the results do not hold.
        """
        matrix = self.matrix("score", split="test")
        _check_known("target", target, sorted(matrix["target"].unique()))
        if target is not None:
            matrix = matrix[matrix["target"] == target]
        _check_known("language", language, sorted(set(matrix["language"]) - {"macro"}))
        if language is not None:
            matrix = matrix[matrix["language"] == language]
        study = self.study()
        fraction = self._compared(intermediate_fraction, matrix, study)
        strata = matrix[["target", "target_fraction"]].drop_duplicates()
        return [
            self._answer(str(name), None if pd.isna(part) else float(part), language, fraction, study, include_overlap)
            for name, part in strata.itertuples(index=False)
        ]

    def _compared(self, given: float | None, matrix: pd.DataFrame, study: Study | None) -> float | None:
        there = sorted({float(f) for f in matrix["intermediate_fraction"].dropna()})
        if given is not None and given not in there:
            known = ", ".join(f"{fraction:g}" for fraction in there) or "none"
            raise UserError(f"--intermediate-fraction {given:g}: the results hold {known}")
        if given is None and study is not None and study.compared_fraction in there:
            return study.compared_fraction
        return given if given is not None else max(there, default=None)

    def _answer(
        self,
        target: str,
        target_fraction: float | None,
        language: str | None,
        compared: float | None,
        study: Study | None,
        include_overlap: bool,
    ) -> TargetAnswer:
        test = self.stratum_scores(target, target_fraction, "test", language)
        dev, selection = self._selecting(target, target_fraction, language, study)
        overlap = [_overlaps(arm.intermediate, target, study) for arm in test.arms]
        stream = f"{target} {target_fraction} {language}"
        eligible = [
            arm.intermediate_fraction in (None, compared) and (include_overlap or not shared)
            for arm, shared in zip(test.arms, overlap, strict=True)
        ]
        gains = rank_arms(test.scores, deterministic=test.deterministic, eligible=eligible, stream=stream)
        chosen, chosen_arms = gains, test.arms
        if dev is not None:
            may = [eligible[test.arms.index(arm)] if arm in test.arms else False for arm in dev.arms]
            chosen = rank_arms(dev.scores, deterministic=dev.deterministic, eligible=may, stream=f"{stream} dev")
            chosen_arms = dev.arms
        arms = [
            _arm_answer(test, gains, i, _find(chosen, chosen_arms, arm), eligible[i], overlap[i], selection)
            for i, arm in enumerate(test.arms)
        ]
        arms.sort(key=lambda a: (not a.competes, -(a.p_best or 0.0), -(a.mean or 0.0), a.intermediate))
        winners = [chosen_arms[i] for i in chosen.best_set]
        names = tuple(arm_label(arm.intermediate, arm.intermediate_fraction) for arm in winners)
        notes = _notes(test, gains, chosen, selection, overlap, include_overlap, study)
        return TargetAnswer(
            target, target_fraction, language, test.languages, test.metric or "", tuple(arms), names, notes
        )

    def _selecting(
        self, target: str, target_fraction: float | None, language: str | None, study: Study | None
    ) -> tuple[Stratum | None, Selection]:
        """The dev scores that choose the arm; None where there are none, and test has to."""
        rule = study.selection if study else "en_dev"
        if rule == "en_dev":
            asked: Sequence[str | None] = (_train_language(target),)
        else:
            asked = (language,)
        for one in asked:
            dev = self.stratum_scores(target, target_fraction, "dev", one)
            if np.isfinite(dev.scores).any():
                return dev, rule
        return None, "test"


def _check_known(name: str, given: str | None, known: Sequence[str]) -> None:
    if not known:
        raise UserError("The results hold no finished target stage yet; run the study first: raystilts run STUDY")
    if given is not None and given not in known:
        raise UserError(f"--{name} {given}: not in these results; {did_you_mean(given, known)}")


def _train_language(target: str) -> str:
    try:
        return get_task(target).train_languages[0]
    except UserError:  # tables from elsewhere may name tasks that are not registered here
        return "en"


def _overlaps(intermediate: str, target: str, study: Study | None) -> bool:
    """Whether an intermediate trains on the target's own training data."""
    names = intermediate.split("+")
    if study is not None:
        names = [name for arm in study.intermediates if arm.label == intermediate for name in arm.tasks]
    try:
        own = get_task(target)
        return any(shares_training_data(get_task(name), own) for name in names if name not in ("none", "mlm"))
    except UserError:
        return False


def _find(chosen: Posterior, arms: list[Arm], arm: Arm) -> Any:
    """What the choosing posterior says of an arm, None if it has no scores there."""
    return chosen.arms[arms.index(arm)] if arm in arms else None


def _arm_answer(
    test: Stratum, gains: Posterior, i: int, choice: Any, competes: bool, overlap: bool, selection: Selection
) -> ArmAnswer:
    arm, own = test.arms[i], gains.arms[i]
    baseline = arm.intermediate == "none"
    return ArmAnswer(
        target=test.target,
        language=test.language,
        target_fraction=test.target_fraction,
        intermediate=arm.intermediate,
        intermediate_fraction=arm.intermediate_fraction,
        mean=own.mean,
        gain=None if baseline else own.gain,
        gain_low=None if baseline else own.low,
        gain_high=None if baseline else own.high,
        p_best=None if choice is None else choice.p_best,
        expected_regret=None if choice is None else choice.regret,
        in_best_set=choice is not None and choice.in_set,
        competes=competes,
        overlap=overlap,
        seeds=own.runs,
        stopped=int(test.stopped[i]),
        failed=int(test.failed[i]),
        degenerate=int(test.degenerate[i]),
        hyperparameters=json.loads(arm.hyperparameters or "{}"),
        metric=test.metric or "",
        split="test",
        selection=selection,
    )


def _notes(
    test: Stratum,
    gains: Posterior,
    chosen: Posterior,
    selection: Selection,
    overlap: list[bool],
    include_overlap: bool,
    study: Study | None,
) -> tuple[str, ...]:
    notes = list(dict.fromkeys([*gains.notes, *chosen.notes]))
    if selection == "test":
        notes.append("no dev data: chosen and scored on the same test data, so P(best) is exploratory")
    if any(overlap):
        shared = ", ".join(dict.fromkeys(a.intermediate for a, o in zip(test.arms, overlap, strict=True) if o))
        rule = "competes all the same" if include_overlap else "is left out of best (--include-overlap lets it in)"
        notes.append(f"{shared} trains on this target's own training data and {rule}")
    seen = _seen(test, study)
    if seen:
        names = ", ".join(seen)
        notes.append(f"the encoder has seen {names} in pretraining: gains of these look smaller than they are")
    return tuple(notes)


def _seen(test: Stratum, study: Study | None) -> list[str]:
    """Intermediates of a stratum that the encoder declares to have seen."""
    if study is None:
        return []
    words = {word for arm in test.arms for word in re.split(r"[+@]", arm.intermediate)}
    return [name for name in study.encoder.has_seen if name in words]


def arm_label(intermediate: str, fraction: float | None) -> str:
    """An arm as people read it: `squad`, or `squad 25%` for a part of its data."""
    return intermediate if fraction in (None, 1.0) or fraction is None else f"{intermediate} {100 * fraction:g}%"
