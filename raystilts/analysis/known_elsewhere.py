"""Which intermediates to try first, from what is known without training any: earlier studies, and the tasks' texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from raystilts.analysis.presentation import Row, wrap
from raystilts.errors import UserError
from raystilts.ranking.joint import prior_features
from raystilts.results.earlier import earlier_studies
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task


@dataclass(frozen=True, slots=True)
class Ranked:
    """What is expected of one arm for one target; higher is better."""

    target: str
    intermediate: str
    score: float


def earlier_ranking(study: Study, folders: Sequence[str]) -> list[Ranked]:
    """Arms by their standing in earlier studies, with any encoder; arms and targets that none of them has are left out.

    Raises:
        UserError: A folder cannot be read, or none knows a target and an arm of this study.
    """
    targets = [target.task for target in study.targets if get_task(target.task).requires_training]
    arms = [arm.label for arm in study.intermediates]
    features, known = prior_features([one for folder in folders for one in earlier_studies(folder)], targets, arms)
    found = [
        Ranked(target, arm, float(features[row, column]))
        for row, target in enumerate(targets)
        for column, arm in enumerate(arms)
        if known[row, column]
    ]
    if not found:
        raise UserError(f"{', '.join(folders)}: no target and arm of this study by the same names")
    return found


def text_ranking(study: Study, samples: int) -> list[Ranked]:
    """Arms by how similar their tasks' texts are to the target's, see `training.task_similarity`; `none` has no text.

    Args:
        samples: Training texts of each task that are read.

    Raises:
        UserError: No target of the study is trained, or no arm has a task.
    """
    from raystilts.training.task_similarity import text_similarities  # here: it loads torch

    found = text_similarities(study, samples)
    if not found:
        raise UserError("text similarity needs an arm with a task, and a target that is trained")
    return [Ranked(target, arm, score) for (target, arm), score in found.items()]


def ranked_rows(found: Sequence[Ranked]) -> list[Row]:
    """A row a target and arm, the best first within a target."""
    order = {target: i for i, target in enumerate(dict.fromkeys(one.target for one in found))}
    return [asdict(one) for one in sorted(found, key=lambda one: (order[one.target], -one.score, one.intermediate))]


def ranked_text(found: Sequence[Ranked], source: str, outcome: Sequence[str]) -> str:
    """The rankings in words; `outcome` says how good they were."""
    lines: list[str] = []
    for target in dict.fromkeys(one.target for one in found):
        lines.append(f"{target}: intermediates by {source}")
        mine = (row for row in ranked_rows(found) if row["target"] == target)
        lines += [f"  {row['intermediate']:<50} {row['score']:>9.3f}" for row in mine]
        lines.append("")
    unknown = wrap("The grid is not there yet: how good these rankings are is not known.")
    return "\n".join([*lines, *(outcome or unknown)]) + "\n"
