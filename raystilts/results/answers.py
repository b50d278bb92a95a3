"""The answer to "which intermediate for my target?", with its certainty."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from raystilts.errors import UserError, did_you_mean
from raystilts.ranking.mcb import compare_with_best
from raystilts.ranking.posterior import Posterior, number
from raystilts.results.store import Results as StoredResults
from raystilts.results.stratum import Arm, Stratum, rank_stratum, scores_of, was_run
from raystilts.results.target_answer import (
    ArmAnswer,
    Selection,
    TargetAnswer,
    answer_notes,
    arm_label,
    overlaps,
    train_language,
)

if TYPE_CHECKING:
    import pandas as pd

    from raystilts.results.overall import OverallAnswer
    from raystilts.study.schema import Study


__all__ = ["ArmAnswer", "Results", "Selection", "TargetAnswer", "arm_label"]

Key = tuple[str, float | None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question leaves out or lets in; see `Results.answers`."""

    target: str | None
    language: str | None
    compared: float | None
    include_overlap: bool
    strict: bool
    study: Study | None


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
        from pydantic import ValidationError

        from raystilts.study.schema import Study

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
        strict: bool = False,
    ) -> pd.DataFrame:
        """Every arm of every stratum, one row each; see `ArmAnswer` for the columns."""
        import pandas as pd

        found = self.answers(target, language, intermediate_fraction, include_overlap=include_overlap, strict=strict)
        rows = [arm.to_json() for answer in found for arm in answer.arms]
        return pd.DataFrame(rows, columns=list(ArmAnswer.__dataclass_fields__))

    def overall(
        self,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
    ) -> OverallAnswer:
        """The arms over all targets, by mean rank and by scaled gain; see `OverallAnswer`."""
        from raystilts.results.overall import over_targets

        return over_targets(self.answers(None, language, intermediate_fraction, include_overlap=include_overlap))

    def answers(
        self,
        target: str | None = None,
        language: str | None = None,
        intermediate_fraction: float | None = None,
        *,
        include_overlap: bool = False,
        strict: bool = False,
    ) -> list[TargetAnswer]:
        """The answer for each target (and target fraction).

        Args:
            target: Only this one.
            language: In this language; default the mean over the target's languages.
            intermediate_fraction: The fraction at which arms compete; default the study's `compare_at`.
            include_overlap: Let arms compete that train on the target's own data.
            strict: Give Hsu's worst-case set as the best set, not the posterior's.

        Raises:
            UserError: a target, language or fraction that the results do not hold.
        """
        tests = self._scored("test", target, language)
        self._check(tests, target, language)
        study = self.study()
        compared = _compared(intermediate_fraction, tests.values(), study)
        asked = _Asked(target, language, compared, include_overlap, strict, study)
        devs, rule = self._choosing(tests, asked)
        return [_answer(test, devs.get(key), rule, asked) for key, test in tests.items()]

    def _scored(self, split: str, target: str | None, language: str | None) -> dict[Key, Stratum]:
        """Strata with scores; in one language with all others beside it, where every run has it."""
        found = self.strata(split, target=target, each=language is not None)
        if language is not None:
            lacking = {(s.target, s.target_fraction) for s in found if language not in s.languages}
            alone = self.strata(split, language, target=target) if lacking else []
            found = [s for s in found if language in s.languages]
            found += [s for s in alone if (s.target, s.target_fraction) in lacking]
        scored = [s for s in found if np.isfinite(s.scores).any()]
        scored.sort(key=lambda s: (s.target, s.target_fraction or 0.0))
        return {(s.target, s.target_fraction): s for s in scored}

    def _choosing(self, tests: dict[Key, Stratum], asked: _Asked) -> tuple[dict[Key, Stratum], Selection]:
        """The dev scores that choose the arm, for the strata that have any."""
        rule: Selection = asked.study.selection if asked.study else "en_dev"
        if rule == "target_dev":
            return self._scored("dev", asked.target, asked.language), rule
        wanted = {key: train_language(key[0]) for key in tests}
        found: dict[Key, Stratum] = {}
        for language in sorted(set(wanted.values())):
            for stratum in self.strata("dev", language, target=asked.target):
                key = (stratum.target, stratum.target_fraction)
                if wanted.get(key) == language and np.isfinite(stratum.scores).any():
                    found[key] = stratum
        return found, rule

    def _check(self, tests: dict[Key, Stratum], target: str | None, language: str | None) -> None:
        """Says what is wrong with a question that has no answer."""
        if tests:
            return
        known = [s for s in self.strata("test") if np.isfinite(s.scores).any()]
        if not known:
            raise UserError(_nothing(self))
        targets = sorted({s.target for s in known})
        if target is not None and target not in targets:
            raise UserError(f"--target {target}: not in these results; {did_you_mean(target, targets)}")
        rows = self.known()
        rows = rows if target is None else rows[rows["target"] == target]
        languages = sorted({str(name) for names in rows["languages"] for name in names})
        where = "in these results" if target is None else f"in the results of {target}"
        raise UserError(f"--language {language}: not {where}; {did_you_mean(str(language), languages)}")


def _nothing(results: Results) -> str:
    """Why there is nothing to answer from."""
    runs = results.runs()
    ended = Counter(runs.loc[runs["kind"] != "intermediate", "status"])
    counts = ", ".join(f"{ended[word]} {word}" for word in ("failed", "stopped", "paused") if ended[word])
    if counts:
        return f"The results hold no finished target stage ({counts}); the column error of Results.runs() says why"
    return "The results hold no finished target stage yet; run the study first: raystilts run STUDY"


def _compared(given: float | None, tests: Any, study: Study | None) -> float | None:
    fractions = (arm.intermediate_fraction for test in tests for arm in test.arms)
    there = sorted({fraction for fraction in fractions if fraction is not None})
    if given is not None and given not in there:
        known = ", ".join(f"{fraction:g}" for fraction in there) or "none"
        raise UserError(f"--intermediate-fraction {given:g}: the results hold {known}")
    if given is None and study is not None and study.compared_fraction in there:
        return study.compared_fraction
    return given if given is not None else max(there, default=None)


def _answer(test: Stratum, dev: Stratum | None, rule: Selection, asked: _Asked) -> TargetAnswer:
    overlap = [overlaps(arm.intermediate, test.target, asked.study) for arm in test.arms]
    eligible = [
        arm.intermediate_fraction in (None, asked.compared) and (asked.include_overlap or not shared)
        for arm, shared in zip(test.arms, overlap, strict=True)
    ]
    stream = f"{test.target} {test.target_fraction} {asked.language}"
    gains = rank_stratum(test, asked.language, eligible, stream)
    chosen, chooser, may, by = gains, test, eligible, asked.language
    if dev is not None:
        allowed = dict(zip(test.arms, eligible, strict=True))
        may = [allowed.get(arm, False) for arm in dev.arms]
        chooser, by = dev, asked.language if rule == "target_dev" else None
        chosen = rank_stratum(dev, by, may, f"{stream} dev")
    selection = rule if dev is not None else "test"
    best = chosen.best_set
    extra: list[str] = []
    if asked.strict:
        mcb = compare_with_best(scores_of(chooser, by), deterministic=chooser.deterministic, eligible=may)
        best, extra = mcb.best_set, [mcb.note] if mcb.note else []
    row_of = {arm: row for row, arm in enumerate(chooser.arms)}
    arms = [
        _arm_answer(test, asked.language, gains, i, chosen, row_of.get(arm), best, eligible[i], overlap[i], selection)
        for i, arm in enumerate(test.arms)
        if was_run(test, i)
    ]
    arms.sort(key=lambda a: (not a.competes, -(a.p_best or 0.0), -(a.mean or 0.0), a.intermediate))
    notes = answer_notes(test, gains, chosen, selection, overlap, asked.include_overlap, asked.study)
    return TargetAnswer(
        target=test.target,
        target_fraction=test.target_fraction,
        language=asked.language,
        languages=(asked.language,) if asked.language else test.languages,
        metric=test.metric or "",
        arms=tuple(arms),
        best=tuple(arm_label(*chooser.arms[i][:2]) for i in best),
        notes=(*notes, *extra),
        strict=asked.strict,
        choice=chosen,
        gains=gains,
        choice_arms=tuple(arm[:2] for arm in chooser.arms),
        gain_arms=tuple(arm[:2] for arm in test.arms),
    )


def _arm_answer(
    test: Stratum,
    language: str | None,
    gains: Posterior,
    i: int,
    chosen: Posterior,
    row: int | None,
    best: Sequence[int],
    competes: bool,
    overlap: bool,
    selection: Selection,
) -> ArmAnswer:
    arm, baseline = test.arms[i], test.arms[i].intermediate == "none"
    gain, low, high = (None if baseline else number(values[i]) for values in gains.gains)
    return ArmAnswer(
        target=test.target,
        language=language,
        target_fraction=test.target_fraction,
        intermediate=arm.intermediate,
        intermediate_fraction=arm.intermediate_fraction,
        mean=number(gains.fit.effects[i]),
        gain=gain,
        gain_low=low,
        gain_high=high,
        p_best=None if row is None else number(chosen.p_best[row]),
        expected_regret=None if row is None else number(chosen.regret[row]),
        in_best_set=row is not None and row in best,
        competes=competes,
        overlap=overlap,
        seeds=int(gains.fit.counts[i]),
        stopped=int(test.stopped[i]),
        failed=int(test.failed[i]),
        degenerate=int(test.degenerate[i]),
        hyperparameters=_settings(arm),
        metric=test.metric or "",
        split="test",
        selection=selection,
        stopped_at=test.stopped_at[i] if test.stopped_at else None,
    )


def _settings(arm: Arm) -> dict[str, Any]:
    return dict(_parsed(arm.hyperparameters or "{}"))


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
