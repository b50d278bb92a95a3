"""What a reader of an answer must be told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from raystilts.errors import UserError
from raystilts.ranking.posterior import Posterior
from raystilts.report.arms import Selection
from raystilts.results.strata import Stratum
from raystilts.tasks.registry import all_tasks, get_task
from raystilts.tasks.task import Task, shares_training_data

if TYPE_CHECKING:
    from raystilts.study.schema import Study


def answer_notes(
    test: Stratum,
    gains: Posterior,
    chosen: Posterior,
    selection: Selection,
    overlap: Sequence[bool],
    include_overlap: bool,
    study: Study | None,
) -> tuple[str, ...]:
    """The notes of one stratum, one sentence each."""
    notes = list(dict.fromkeys([*gains.notes, *chosen.notes]))
    if selection == "test":
        notes.append("no dev data: chosen and scored on the same test data, so P(best) is exploratory")
    if any(overlap):
        shared = ", ".join(dict.fromkeys(a.intermediate for a, o in zip(test.arms, overlap, strict=True) if o))
        rule = "competes all the same" if include_overlap else "is left out of best (--include-overlap lets it in)"
        notes.append(f"{shared} trains on this target's own training data and {rule}")
    if test.at_chance:
        notes.append(
            f"{test.at_chance} runs are no better than guessing on dev; they count all the same, for all runs of "
            "their arms are, or half of the table"
        )
    if test.degenerate.any():
        notes.append(
            f"{int(test.degenerate.sum())} runs count as failed by how they trained (not a number, no better than "
            "guessing on dev, or a loss that does not fall) and are in no mean"
        )
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


def train_language(target: str) -> str:
    """The language that a target trains in; English for tasks that are not registered here."""
    task = _task(target)
    return "en" if task is None else task.train_languages[0]


@lru_cache(maxsize=4096)
def _task(name: str) -> Task | None:
    """A registered task; None for a name from elsewhere."""
    if name.partition("@")[0] not in all_tasks():
        return None  # without the search for similar names, which the error has
    try:
        return get_task(name)
    except UserError:
        return None


def overlaps(intermediate: str, target: str, study: Study | None) -> bool:
    """Whether an intermediate trains on the target's own training data."""
    names = tuple(intermediate.split("+"))
    if study is not None:
        named = [arm.tasks for arm in study.intermediates if arm.label == intermediate]
        names = named[0] if named else names
    return _shared(names, target)


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...], target: str) -> bool:
    own = _task(target)
    tasks = [_task(name) for name in names if name not in ("none", "mlm")]
    return own is not None and any(task is not None and shares_training_data(task, own) for task in tasks)
