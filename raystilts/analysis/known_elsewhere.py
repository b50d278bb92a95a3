"""Which intermediates to try first, from what is known without training any: earlier studies, and the tasks' texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from raystilts.analysis.embeddings import LENGTH, mean_states, text_ids
from raystilts.analysis.presentation import Row, wrap
from raystilts.errors import UserError
from raystilts.planning.data import data_folder
from raystilts.planning.encoders import fetch_encoder
from raystilts.ranking.joint import prior_features
from raystilts.results.earlier import earlier_studies
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.training.data import DataReader
from raystilts.training.encoder import pretrained

_LAST = -1  # hidden layer


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
    targets, arms = _targets(study), [arm.label for arm in study.intermediates]
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
    """Arms by how similar their tasks' texts are to the target's, by the study's encoder as it comes.

    A task is the mean state of its description and of English training texts, half each; tasks are compared by the
    cosine, after the mean over all tasks is taken away (states of one encoder have a large part in common). `none` has
    no text and is left out; an arm of several tasks is their mean.

    Args:
        samples: Training texts of each task that are read.

    Raises:
        UserError: No target of the study is trained, or no arm has a task.
    """
    targets = _targets(study)
    arms = {arm.label: tuple(arm.tasks) for arm in study.intermediates if arm.tasks}
    names = dict.fromkeys([*targets, *(name for tasks in arms.values() for name in tasks)])
    if not targets or not arms:
        raise UserError("text similarity needs an arm with a task, and a target that is trained")
    loaded = pretrained(fetch_encoder(study.encoder))
    model = loaded.restore(None, torch.device("cpu"))
    reader = DataReader(loaded, data_folder(study))
    pad_id = loaded.tokenizer.pad_token_id

    def state(task: Task) -> NDArray[np.float64]:
        texts = reader.text_of(task, Hyperparameters(max_train_samples=samples), LENGTH).input_ids
        said = text_ids(loaded, [task.description])
        parts = [mean_states(model, ids, pad_id, _LAST).mean(axis=0) for ids in (texts, said)]
        return np.asarray(np.mean(parts, axis=0))

    return similarities({name: state(get_task(name)) for name in names}, targets, arms)


def similarities(
    states: Mapping[str, NDArray[np.float64]], targets: Sequence[str], arms: Mapping[str, Sequence[str]]
) -> list[Ranked]:
    """Cosines of each target's state with each arm's, centred.

    Args:
        states: ``[hidden]`` of each task.
        arms: Tasks of each arm.
    """
    centre = np.mean(list(states.values()), axis=0)
    centred = {name: state - centre for name, state in states.items()}
    return [
        Ranked(target, arm, _cosine(centred[target], np.mean([centred[name] for name in tasks], axis=0)))
        for target in targets
        for arm, tasks in arms.items()
    ]


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0


def _targets(study: Study) -> list[str]:
    return [target.task for target in study.targets if get_task(target.task).requires_training]


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
