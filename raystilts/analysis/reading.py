"""What the analyses read of a results folder: strata in each language, by any metric, and the sizes of data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.planning.data import StudyData
from raystilts.planning.stages import fraction_rows
from raystilts.ranking.intervals import FloatArray
from raystilts.results.answers import TargetAnswer
from raystilts.results.results import Results
from raystilts.results.stratum import Arm, Final, Place, Stratum, build_stratum
from raystilts.results.task_facts import KnownTasks
from raystilts.study.arms import Arms
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task

#: Whether an intermediate trains on a target's own training data.
Overlaps = Callable[[str, str], bool]


def read_strata(results: Results, target: str | None = None, metric: str | None = None) -> list[Stratum]:
    """The test scores of every target and target fraction, with each language beside the mean.

    Args:
        results: The results folder.
        target: Only this one.
        metric: A metric other than the main one, such as ``f1`` of span questions. Targets without it are left out.

    Raises:
        UserError: Nothing has been scored so.
    """
    found = results.strata("test", target=target, each=True) if metric is None else _by_metric(results, target, metric)
    found = [stratum for stratum in found if np.isfinite(stratum.scores).any()]
    if not found:
        raise UserError(_nothing(results, target, metric))
    return found


def not_learnt(results: Results) -> list[TargetAnswer]:
    """Targets whose runs are at chance, so that their numbers say nothing."""
    try:
        return [answer for answer in results.answers() if not answer.learnt]
    except UserError:  # several encoders or metrics: the question itself is of one of them
        return []


def learnt_strata(strata: Iterable[Stratum], lost: Iterable[TargetAnswer]) -> list[Stratum]:
    """Those of targets that are learnt: what differs at chance is no gain.

    Args:
        lost: `not_learnt`.

    Raises:
        UserError: None of them is learnt.
    """
    left_out = {(answer.target, answer.target_fraction) for answer in lost}
    found = [stratum for stratum in strata if (stratum.target, stratum.target_fraction) not in left_out]
    if not found:
        raise UserError("no target is learnt at this size, so that there are no gains; train longer or on more data")
    return found


def table_of(stratum: Stratum, language: str | None) -> FloatArray:
    """Scores ``[arms, seeds]`` of the mean over languages (None), or of one of `stratum.languages`."""
    return stratum.scores if language is None else stratum.by_language[:, :, stratum.languages.index(language)]


def check_language(language: str | None, strata: list[Stratum]) -> None:
    """Checks that a language asked for is there; raises UserError where no target has it."""
    known = sorted({name for stratum in strata for name in stratum.languages})
    if language is not None and language not in known:
        raise UserError(f"--language {language}: not in these results; {did_you_mean(language, known)}")


def rows_by_intermediate(stratum: Stratum, present: Iterable[bool]) -> dict[tuple[str, str], list[int]]:
    """Rows of a stratum's arms that have runs, in order of size, by intermediate and hyperparameters."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (arm, there) in enumerate(zip(stratum.arms, present, strict=True)):
        if there and arm.intermediate != "none" and arm.intermediate_fraction is not None:
            rows.setdefault((arm.intermediate, arm.hyperparameters), []).append(row)
    return {
        key: sorted(some, key=lambda row: stratum.arms[row].intermediate_fraction or 0.0)
        for key, some in rows.items()
        if len(some) > 1
    }


def _by_metric(results: Results, target: str | None, metric: str) -> list[Stratum]:
    scores = results.scores(target=target, split="test")
    scores = scores[scores["is_final"] & (scores["kind"] != "intermediate") & (scores["metric"] == metric)]
    runs = results.runs()[["stage", "hyperparameters", "degenerate", "degenerate_rule"]]
    rows = scores.merge(runs, on="stage").sort_values(["target", "target_fraction", "stage"])
    return [
        _stratum(str(name), _number(fraction), metric, group)
        for (name, fraction), group in rows.groupby(["target", "target_fraction"], dropna=False)
    ]


def _stratum(target: str, fraction: float | None, metric: str, rows: pd.DataFrame) -> Stratum:
    stages = [group for _, group in rows.groupby("stage")]
    languages = sorted(set.intersection(*(set(stage["language"]) for stage in stages)))
    place = Place(
        target=target, target_fraction=fraction, split="test", language=None, languages=tuple(languages), metric=metric
    )
    return build_stratum(place, [_final(stage, languages) for stage in stages] if languages else [], [])


def _final(stage: pd.DataFrame, languages: list[str]) -> Final:
    first: Any = stage.iloc[0]
    values = stage.set_index("language")["value"].reindex(languages).tolist()
    arm = Arm(str(first["intermediate"]), _number(first["intermediate_fraction"]), str(first["hyperparameters"]))
    seed = _number(first["seed"])
    rule = str(first["degenerate_rule"] or "degenerate") if first["degenerate"] is True else None
    return Final(arm, None if seed is None else int(seed), float(np.mean(values)), rule, values)


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _nothing(results: Results, target: str | None, metric: str | None) -> str:
    known = results.known()
    targets = sorted(set(known["target"]))
    if not targets:
        return "The results hold no finished target stage yet; run the study first: raystilts run STUDY"
    if target is not None and target not in targets:
        return f"--target {target}: not in these results; {did_you_mean(target, targets)}"
    metrics = sorted(set(results.scores(target=target, split="test")["metric"]))
    return f"--metric {metric}: no final test score of it; {did_you_mean(str(metric), metrics)}"


#: Training examples of an intermediate or a target at a fraction; the fraction itself where sizes are not known.
SizeOf = Callable[[str, float], float]


def sizes_in_examples(study: Study | None, tasks: KnownTasks) -> tuple[SizeOf, str]:
    """A function from a task (or mixture) and a fraction to training examples, and the unit's name.

    Without a study, or where sizes are neither in the folder nor can be looked up, the size is the fraction itself.
    """
    rows = {} if study is None else _rows(study, tasks)

    def in_examples(name: str, fraction: float) -> float:
        if name not in rows:
            raise UserError(f"the results hold {name!r}, which their study.json does not name; run the study again")
        return float(fraction_rows(rows[name], fraction))

    def as_share(name: str, fraction: float) -> float:
        return fraction

    return (in_examples, "examples") if rows else (as_share, "share of the data")


def _rows(study: Study, tasks: KnownTasks) -> dict[str, int]:
    """Training examples of every intermediate and target at fraction 1; nothing where one is not known."""
    targets = [target.task for target in study.targets if (task := tasks.get(target.task)) and task.trains]
    arms = Arms(study.intermediates)
    sized = {label: own for label, arm in arms.by_label.items() if (own := arms.sized_by(arm))}
    parts = sized | {name: (name,) for name in targets}
    known = {name: task.rows for names in parts.values() for name in names if (task := tasks.get(name)) and task.rows}
    if all(name in known for names in parts.values() for name in names):
        return {label: sum(known[name] or 0 for name in names) for label, names in parts.items()}
    try:  # a folder of an older version
        data = StudyData(study)
        return {
            label: sum(data.training(get_task(name), study.hyperparameters.resolve(name)).rows for name in names)
            for label, names in parts.items()
        }
    except UserError:
        return {}
