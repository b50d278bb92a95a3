"""How similar the texts of two tasks are, by the study's encoder as it comes: what may be expected before any training.

A task is the mean state of its description and of English training texts, half each; tasks are compared by the cosine,
after the mean over all tasks is taken away (states of one encoder have a large part in common).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from raystilts.planning.data import data_folder
from raystilts.planning.encoders import fetch_encoder
from raystilts.study.arms import Arms
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.tasks.task import Task
from raystilts.training.data import DataReader
from raystilts.training.embeddings import LENGTH, mean_states, text_ids
from raystilts.training.encoder import pretrained

_LAST = -1  # hidden layer
#: Training texts of each task that are read.
SAMPLES = 500


def task_states(study: Study, names: Sequence[str], samples: int = SAMPLES) -> dict[str, NDArray[np.float64]]:
    """``[hidden]`` of each task.

    Args:
        samples: Training texts of each task that are read.

    Raises:
        UserError: Data or an encoder that cannot be read.
    """
    loaded = pretrained(fetch_encoder(study.encoder))
    model = loaded.restore(None, torch.device("cpu"))
    reader = DataReader(loaded, data_folder(study))
    pad_id = loaded.words.facts.pad_id

    def state(task: Task) -> NDArray[np.float64]:
        texts = reader.text_of(task, Hyperparameters(max_train_samples=samples), LENGTH).input_ids
        said = text_ids(loaded, [task.description])
        parts = [mean_states(model, ids, pad_id, _LAST).mean(axis=0) for ids in (texts, said)]
        return np.asarray(np.mean(parts, axis=0))

    return {name: state(get_task(name)) for name in names}


def cosines(
    states: Mapping[str, NDArray[np.float64]], targets: Sequence[str], arms: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], float]:
    """Cosine of each target's state with each arm's, centred; an arm of several tasks is their mean.

    Args:
        states: ``[hidden]`` of each task.
        arms: Tasks of each arm.
    """
    centre = np.mean(list(states.values()), axis=0)
    centred = {name: state - centre for name, state in states.items()}
    return {
        (target, arm): _cosine(centred[target], np.mean([centred[name] for name in tasks], axis=0))
        for target in targets
        for arm, tasks in arms.items()
    }


def text_similarities(study: Study, samples: int = SAMPLES) -> dict[tuple[str, str], float]:
    """The same for the trained targets and the arms of a study; `none` has no text and is left out."""
    targets = [target.task for target in study.targets if get_task(target.task).requires_training]
    known = Arms(study.intermediates)
    arms = {label: tasks for label, arm in known.by_label.items() if (tasks := known.tasks_of(arm))}
    names = dict.fromkeys([*targets, *(name for tasks in arms.values() for name in tasks)])
    return cosines(task_states(study, list(names), samples), targets, arms) if targets and arms else {}


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0
