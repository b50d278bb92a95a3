"""One target of a suite: its finished test scores by arm and seed, and its best arm."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from raystilts.ranking.intervals import BoolArray, FloatArray
from raystilts.report.answers import ArmAnswer, TargetAnswer, arm_label
from raystilts.tasks.suites import Member

#: An intermediate at one fraction of its data.
Key = tuple[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One target of a table.

    Attributes:
        languages: Those of the wanted languages that every run has.
        arms: The arms that compete, or would but for their overlap, each with its best hyperparameters.
        scores: Mean over `languages` of each finished run by arm and seed; seed None where none matters.
    """

    member: Member
    answer: TargetAnswer
    languages: tuple[str, ...]
    arms: dict[Key, ArmAnswer]
    scores: dict[Key, dict[int | None, float]]


def read_part(
    member: Member, answer: TargetAnswer | None, matrix: pd.DataFrame, wanted: tuple[str, ...], compared: float | None
) -> Part | str:
    """A target's scores in the wanted languages and at the compared fraction, or why there are none."""
    if answer is None:
        return "not in these results"
    if answer.metric != member.metric:
        return f"scored by {answer.metric}, not by {member.metric}"
    if not wanted:
        return "has none of these languages"
    arms: dict[Key, ArmAnswer] = {}
    for arm in sorted(answer.arms, key=_preference):
        if arm.intermediate_fraction in (None, compared):
            arms.setdefault((arm.intermediate, arm.intermediate_fraction), arm)
    values = _runs(matrix, answer, wanted, arms)
    languages = tuple(code for code in wanted if values and all(code in run for run in values.values()))
    if not languages:
        return "no language that every run has" if values else "no finished run in these languages"
    scores: dict[Key, dict[int | None, float]] = {}
    for (key, number), run in values.items():
        scores.setdefault(key, {})[number] = sum(run[code] for code in languages) / len(languages)
    return Part(member, answer, languages, arms, scores)


def _runs(
    matrix: pd.DataFrame, answer: TargetAnswer, wanted: tuple[str, ...], arms: dict[Key, ArmAnswer]
) -> dict[tuple[Key, int | None], dict[str, float]]:
    """Scores by language of every run that is not degenerate."""
    fraction = matrix["target_fraction"]
    same = fraction.isna() if answer.target_fraction is None else fraction == answer.target_fraction
    rows = matrix[(matrix["target"] == answer.target) & same & matrix["language"].isin(wanted)]
    rows = rows[~rows["degenerate"].astype(bool)]
    values: dict[tuple[Key, int | None], dict[str, float]] = {}
    for name, part, settings, seed, language, score in rows[
        ["intermediate", "intermediate_fraction", "hyperparameters", "seed", "language", "score"]
    ].itertuples(index=False):
        key = (str(name), None if pd.isna(part) else float(part))
        if key in arms and json.loads(settings or "{}") == arms[key].hyperparameters:
            run = values.setdefault((key, None if pd.isna(seed) else int(seed)), {})
            run[str(language)] = float(score)
    return values


def _preference(arm: ArmAnswer) -> tuple[bool, float, float, float]:
    """The best arm first, by the data that chooses."""
    regret = np.inf if arm.expected_regret is None else arm.expected_regret
    return (not arm.competes, regret, -(arm.p_best or 0.0), -(arm.mean or 0.0))


def best_arm(part: Part) -> Key | None:
    """The arm with the least expected regret; without a posterior the first of the best set."""
    arms = [(key, arm) for key, arm in part.arms.items() if arm.competes and key in part.scores]
    if part.answer.best and all(arm.expected_regret is None for _, arm in arms):
        arms = [pair for pair in arms if arm_label(*pair[0]) in part.answer.best]
        arms.sort(key=lambda pair: part.answer.best.index(arm_label(*pair[0])))
    return arms[0][0] if arms else None


def score_table(parts: list[Part], keys: list[Key]) -> tuple[FloatArray, BoolArray]:
    """``[targets, arms, seeds]`` scores, and which arms' scores depend on no seed."""
    seeds = sorted({s for part in parts for runs in part.scores.values() for s in runs if s is not None}) or [0]
    table = np.full((len(parts), len(keys), len(seeds)), np.nan)
    fixed = np.zeros(table.shape[:2], dtype=np.bool_)
    for t, part in enumerate(parts):
        for key, runs in part.scores.items():
            row = keys.index(key)
            for seed, value in runs.items():
                fixed[t, row] |= seed is None
                table[t, row, slice(None) if seed is None else seeds.index(seed)] = value
    return table, fixed


def runs_of(part: Part, key: Key) -> int:
    """Runs of an arm; a score that depends on no seed limits nothing."""
    runs = part.scores[key]
    return max((len(other) for other in part.scores.values()), default=0) if None in runs else len(runs)
