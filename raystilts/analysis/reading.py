"""Score tables of a results folder as the analyses take them: strata in each language, by any metric that was kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from raystilts.errors import UserError, did_you_mean
from raystilts.ranking.intervals import FloatArray
from raystilts.results.store import Results
from raystilts.results.stratum import Arm, Final, Place, Stratum, build_stratum

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


def table_of(stratum: Stratum, language: str | None) -> FloatArray:
    """Scores ``[arms, seeds]`` of the mean over languages (None), or of one of `stratum.languages`."""
    return stratum.scores if language is None else stratum.by_language[:, :, stratum.languages.index(language)]


def check_language(language: str | None, strata: list[Stratum]) -> None:
    """Checks that a language asked for is there; raises UserError where no target has it."""
    known = sorted({name for stratum in strata for name in stratum.languages})
    if language is not None and language not in known:
        raise UserError(f"--language {language}: not in these results; {did_you_mean(language, known)}")


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
