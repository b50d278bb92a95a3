"""What a reader of an answer must be told beside its numbers, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from raystilts.ranking.posterior import Posterior
from raystilts.results.reader import json_column
from raystilts.results.stratum import Stratum, was_run
from raystilts.results.task_facts import SharedRows

if TYPE_CHECKING:
    from raystilts.study.schema import Study

#: Which data chose.
Selection = Literal["en_dev", "target_dev", "test"]
TOGETHER = (
    "P(best) is from one posterior of all targets, for the schedule gave most arms one seed; means and gains are of "
    "this target alone"
)
GAINS_ALONE = "no arm has two seeds on this target: its gains have no interval"


@lru_cache(maxsize=4096)
def parsed(text: str) -> dict[str, Any]:
    """The hyperparameters of an arm; none where they cannot be read."""
    return json_column(text, dict)


def answer_notes(
    test: Stratum,
    gains: Posterior,
    chosen: Posterior,
    selection: Selection,
    overlap: Sequence[bool],
    include_overlap: bool,
    study: Study | None,
    data: str = "test",
    unused: str = "",
) -> tuple[str, ...]:
    """The notes of one stratum, one sentence each.

    Args:
        data: What stands for the test data.
        unused: Why dev data do not choose where there are some.
    """
    notes = [] if not chosen.learnt else list(dict.fromkeys([*gains.notes, *chosen.notes]))
    if selection == "test" and chosen.learnt:
        exploratory = ", so P(best) is exploratory" if chosen.determined else ""
        why = unused or f"no {'test' if data == 'dev' else 'dev'} data"
        mark = ";" if unused else ":"
        notes.append(f"{why}{mark} chosen and scored on the same {data} data{exploratory}")
    if any(overlap):
        shared = ", ".join(dict.fromkeys(a.intermediate for a, o in zip(test.arms, overlap, strict=True) if o))
        rule = "competes all the same" if include_overlap else "is left out of best (--include-overlap lets it in)"
        notes.append(f"{shared} trains on this target's own training data and {rule}")
    if test.at_chance and test.learnt:
        notes.append(
            f"{_runs_are(test.at_chance)} at chance on dev and counted all the same, for all runs of their arms are"
        )
    if test.degenerate.any():
        notes.append(
            f"{_runs_are(int(test.degenerate.sum()))} degenerate (not a number, at chance on dev, or with a loss that "
            "does not fall) and in no mean"
        )
    given = [(arm.intermediate, arm.hyperparameters) for arm in test.arms if arm.hyperparameters not in ("", "{}")]
    broken = {name for name, text in given if not parsed(text)}
    if broken:
        names = ", ".join(sorted(broken))
        notes.append(f"the hyperparameters of {names} are no JSON object in some rows, and are shown as none")
    seen = _seen(test, study)
    if seen:
        names = ", ".join(seen)
        notes.append(f"the encoder has seen {names} in pretraining: gains of these look smaller than they are")
    elsewhere = _elsewhere(test, study)
    if elsewhere:
        one = "is one checkpoint" if len(elsewhere) == 1 else "are one checkpoint each"
        notes.append(f"{', '.join(elsewhere)} {one} for all seeds: no seed variance of its own training is in its runs")
    return tuple(notes)


def unused_dev(languages: Sequence[str], wanted: str | None, other: str) -> str:
    """Why dev data in these languages do not choose; empty where there are none.

    Args:
        wanted: The language of those that would choose; None for the mean over languages.
        other: Why data in others do not.
    """
    if not languages:
        return ""
    shown = ", ".join(languages[:5]) + (f" and {len(languages) - 5} more" if len(languages) > 5 else "")
    why = other
    if wanted in languages:
        shown, why = str(wanted), "no run has a score there that counts"
    elif wanted is None:
        why = "no language is in every run"
    return f"dev data in {shown} do not choose: {why}"


def _elsewhere(test: Stratum, study: Study | None) -> list[str]:
    """Arms of a stratum that are a checkpoint from elsewhere."""
    there = {arm.intermediate for row, arm in enumerate(test.arms) if was_run(test, row)}
    arms = () if study is None else study.intermediates
    return [arm.label for arm in arms if arm.checkpoint is not None and arm.label in there]


def shared_notes(shared: Sequence[SharedRows], languages: Sequence[str]) -> list[str]:
    """What test data in these languages has in common with training and dev data."""
    notes = []
    for one in shared:
        if one.language not in languages:
            continue
        of, data = f"{one.rows:,} {one.language} test items", "training" if one.split == "train" else "dev"
        if one.items:
            notes.append(f"{one.items:,} of {of} are in its {data} data too")
        if one.texts > one.items:
            notes.append(f"{one.texts:,} of {of} hold a text of its {data} data")
    return notes


def _seen(test: Stratum, study: Study | None) -> list[str]:
    """Intermediates of a stratum that the encoder declares to have seen."""
    if study is None:
        return []
    from raystilts.study.arms import Arms

    arms = Arms(study.intermediates)
    known = {label: arms.tasks_of(arm) for label, arm in arms.by_label.items() if arm.is_composed}
    parts = [part for arm in test.arms for part in known.get(arm.intermediate, (arm.intermediate,))]
    words = {word for part in parts for word in re.split(r"[+@]", part)}
    return [name for name in study.encoder.has_seen if name in words]


def _runs_are(number: int) -> str:
    """`1 run is`, `3 runs are`."""
    return "1 run is" if number == 1 else f"{number} runs are"
