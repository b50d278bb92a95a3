"""Intermediates ranked by their embeddings of a target's training data: one forward pass each, no training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from raystilts.analysis.hscore import h_score
from raystilts.analysis.labelled import labelled_states
from raystilts.analysis.logme import logme
from raystilts.errors import UserError
from raystilts.study.data import data_folder
from raystilts.study.encoders import fetch_encoder
from raystilts.study.folders import checkpoints_folder
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.plan import Plan, plan
from raystilts.study.schema import Study
from raystilts.tasks.registry import get_task
from raystilts.training.data import DataReader
from raystilts.training.encoder import Pretrained, pretrained
from raystilts.training.remote import open_checkpoints

#: Embeddings with labels that are scored at most: words of a tagging task, sub-words of a span question.
ROWS = 2000


@dataclass(frozen=True, slots=True)
class Prediction:
    """What embeddings say of one arm for one target, means over the seeds; higher is better."""

    target: str
    intermediate: str
    seeds: int
    logme: float
    h_score: float


def predict_study(study: Study, samples: int) -> list[Prediction]:
    """Predictions for every trained target and every arm at the compared fraction, `none` among them.

    Args:
        samples: English training examples of each target that are read.

    Raises:
        UserError: Checkpoints of intermediates are not there, or no target of the study is trained.
    """
    info = fetch_encoder(study.encoder)
    planned = plan(study)
    targets = [t.task for t in study.targets if get_task(t.task).requires_training]
    if not targets:
        raise UserError("no target of the study is trained: run it, retrieval needs the intermediates alone")
    places = checkpoint_places(planned)
    loaded = pretrained(info)
    found = []
    for (arm, seed), place in places.items():
        scores = _scores(loaded, place, study, targets, samples)
        found += [Prediction(target, arm, seed or 0, *pair) for target, pair in scores.items()]
    return [_mean(found, target, arm) for target in targets for arm in dict.fromkeys(arm for arm, _ in places)]


def checkpoint_places(planned: Plan) -> dict[tuple[str, int | None], Path | None]:
    """Where the encoder of each arm and seed is; None for the pretrained one, which is `none`.

    Raises:
        UserError: Some are not there.
    """
    study = planned.study
    checkpoints = open_checkpoints(checkpoints_folder(study))
    places: dict[tuple[str, int | None], Path | None] = {}
    if any(arm.is_none for arm in study.intermediates):
        places["none", None] = None
    missing = []
    stages = [s for s in planned.of_kind("intermediate") if s.intermediate_fraction == study.compared_fraction]
    for stage in stages:
        path = checkpoints.find(stage.train_key)
        places[stage.intermediate.label, stage.seed] = path
        if path is None:
            missing.append(f"{stage.intermediate.label} seed {stage.seed}")
    if missing:
        names = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise UserError(
            f"{len(missing)} of {len(stages)} intermediate checkpoints are not in {checkpoints.folder} ({names}); "
            "train the intermediates, and nothing else, with raystilts run STUDY --intermediates-only"
        )
    return places


def _scores(
    loaded: Pretrained, place: Path | None, study: Study, targets: list[str], samples: int
) -> Mapping[str, tuple[float, float]]:
    model = loaded.restore(place, torch.device("cpu"))
    reader = DataReader(loaded, data_folder(study))
    found = {}
    for name in targets:
        task, own = get_task(name), study.hyperparameters.resolve(name)
        limit = min(samples, own.max_train_samples or samples)
        hp = Hyperparameters(max_train_samples=limit, max_length=own.max_length)
        rows = labelled_states(
            model, task, reader.training(task, hp), loaded.tokenizer.pad_token_id, study.encoder.pooling, ROWS
        )
        found[name] = logme(rows.embeddings, rows.labels), h_score(rows.embeddings, rows.labels)
    return found


def _mean(found: list[Prediction], target: str, arm: str) -> Prediction:
    mine = [one for one in found if (one.target, one.intermediate) == (target, arm)]
    return Prediction(
        target, arm, len(mine), float(np.mean([one.logme for one in mine])), float(np.mean([o.h_score for o in mine]))
    )
