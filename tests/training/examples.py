"""What several test modules of training need: studies and jobs on the tiny encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raystilts.study.hyperparameters import Hyperparameters
from raystilts.study.schema import Study
from raystilts.tasks.encoding import Features, Longs
from raystilts.tasks.registry import get_task
from raystilts.training.batches import example_lengths, mix, training_batches
from raystilts.training.data import DataReader
from raystilts.training.encoder import Pretrained
from raystilts.training.loop import Job, Vocabulary
from raystilts.training.model import Model, build_head

#: What a tiny random encoder learns with.
FAST = {
    "learning_rate": 3e-3,
    "per_device_train_batch_size": 8,
    "num_train_epochs": 1,
    "max_train_samples": 32,
    "max_length": 48,
}


def study(checkpoint: Path, **changes: Any) -> Study:
    """One arm, a trained target and a retrieval target, one seed; with changes on top."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "encoder": {"model_name_or_path": str(checkpoint)},
        "intermediates": ["none", "cldr_names"],
        "targets": [
            {"task": "cldr_units", "languages": ["en", "de"]},
            {"task": "cldr_match", "languages": ["de"]},
        ],
        "seeds": [0],
        "hyperparameters": FAST,
        "evaluation": {"eval_steps": 0.5, "max_dev_samples": 16, "max_test_samples": 16},
    }
    return Study.model_validate(fields | changes)


def features(loaded: Pretrained, task: str, rows: int = 16) -> Features:
    """The first training examples of a task."""
    hp = Hyperparameters(max_train_samples=rows, max_length=48)
    return DataReader(loaded, None).training(get_task(task), hp)


def job(loaded: Pretrained, task: str, steps: int, **changes: Any) -> Job:
    """A training on 16 rows of one task, not evaluated."""
    found = features(loaded, task)
    hp = Hyperparameters.model_validate({**FAST, "warmup_steps": 0, **changes})
    chosen: Longs = np.arange(found.num_examples, dtype=np.int64)
    updates = mix(np.zeros(steps, dtype=np.int64), [training_batches(chosen, example_lengths(found), hp, 0, steps)])
    head = build_head(get_task(task), loaded, "first", 0)
    return Job(
        model=Model(loaded.model, [head]),
        features=[found],
        updates=updates,
        hyperparameters=hp,
        vocabulary=vocabulary(loaded),
        seed=0,
        every=steps,
        evaluate=lambda step: (None, []),
    )


def vocabulary(loaded: Pretrained) -> Vocabulary:
    """Of the tiny tokenizer."""
    ids = loaded.tokenizer
    size = loaded.weights["embeddings.word_embeddings.weight"].shape[0]
    return Vocabulary(ids.pad_token_id, ids.mask_token_id, tuple(ids.all_special_ids), size)


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of all weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor], tolerance: float = 0.0) -> bool:
    """Whether two sets of weights are the same, to the bit by default."""
    assert one.keys() == other.keys()
    return all(
        torch.equal(t, other[n]) if tolerance == 0 else torch.allclose(t, other[n], rtol=0, atol=tolerance)
        for n, t in one.items()
    )
