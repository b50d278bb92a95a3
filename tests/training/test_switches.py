"""The usual switches of training: patience, label smoothing, class weights, k-shot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raystilts.planning.stages import plan
from raystilts.study.hyperparameters import Hyperparameters
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.registry import get_task
from raystilts.training.batches import subset
from raystilts.training.collate import IGNORED, Batch
from raystilts.training.data import DataReader, MixturePart, balanced_weights, training_sets
from raystilts.training.encoder import Pretrained
from raystilts.training.loop import train
from raystilts.training.model import SequenceHead, TokenHead
from raystilts.training.stage import run_stage

from .examples import equal, job, study, weights


def batch(labels: torch.Tensor) -> Batch:
    ones = torch.ones(labels.shape[0], 5, dtype=torch.long)
    return Batch(ones, ones, None, labels)


def test_label_smoothing_is_that_of_trainer() -> None:
    from transformers.trainer_pt_utils import LabelSmoother

    head = TokenHead(8, 4, 0.0)
    head.label_smoothing = 0.1
    labels = torch.tensor([[0, 1, IGNORED, 3, 2], [IGNORED] * 5, [1, 1, 1, IGNORED, 0]])
    scores = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = LabelSmoother(epsilon=0.1)({"logits": scores}, labels)
    assert float(head.loss(scores, batch(labels)) / 8) == pytest.approx(float(expected), rel=1e-6)


def test_classes_weigh_what_scikit_learn_calls_balanced() -> None:
    """Six of eight examples are of the first class, two of the third, none of the second."""
    labels = np.array([0, 0, 2, 0, 0, 0, 2, 0, 1])
    features = Features(Ragged.from_rows([[1]] * 9, np.int32), np.arange(9), 9, labels=labels)
    task = get_task("mnli")
    assert task.type.num_labels == 3
    found = balanced_weights(MixturePart(task, Hyperparameters(), features, np.arange(8)))
    assert found is not None
    assert found.tolist() == pytest.approx([8 / (3 * 6), 0.0, 8 / (3 * 2)])
    head = SequenceHead(8, 3, 0.0, "mean")
    head.class_weights = found
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    gold = torch.tensor([0, 2, 2])
    expected = -(scores.log_softmax(-1)[torch.arange(3), gold] * found[gold]).sum()
    assert torch.allclose(head.loss(scores, batch(gold)), expected)


def test_tags_are_counted_without_what_is_ignored(tiny: Pretrained) -> None:
    task, hp = get_task("cldr_dates"), Hyperparameters(max_train_samples=20)
    features = DataReader(tiny, None).training(task, hp)
    found = balanced_weights(MixturePart(task, hp, features, np.arange(10)))
    assert found is not None
    assert features.token_labels is not None
    labels = np.concatenate([row for row, at in zip(features.token_labels, features.example, strict=True) if at < 10])
    counts = np.bincount(labels[labels >= 0], minlength=task.type.num_labels)
    assert float((found.numpy() * counts).sum()) == pytest.approx(counts.sum() * (counts > 0).mean())
    assert balanced_weights(MixturePart(get_task("cldr_span"), hp, features, np.arange(10))) is None


def scored(values: list[float | None], tiny: Pretrained, **changes: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """A training of as many updates as there are dev scores, evaluated after each."""
    tiny.restore(None, torch.device("cpu"))
    one = job(tiny, "cldr_names", len(values), **changes)
    one.every, one.evaluate = 1, lambda step: (values[step - 1], [{"step": step}])
    return train(one), weights(one.model)


@pytest.mark.parametrize(
    ("values", "patience", "threshold", "steps", "best"),
    [
        ([0.1, 0.2, 0.2, 0.1, 0.9], 2, 0.0, 4, 3),
        ([0.1, 0.2, 0.2, 0.1, 0.9], 3, 0.0, 5, 5),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 1, 0.0, 5, 5),
        ([0.1, 0.12, 0.14, 0.4, 0.5], 2, 0.05, 3, 3),
        ([None, None, None, None, None], 1, 0.0, 5, 0),
        ([0.5, 0.4, 0.3, 0.2, 0.1], None, 0.0, 5, 1),
        ([0.5, 0.4, 0.3, 0.2, 0.1], 4, 0.0, 5, 1),
    ],
)
def test_patience_ends_a_training(
    tiny: Pretrained, values: list[float | None], patience: int | None, threshold: float, steps: int, best: int
) -> None:
    changes = {"early_stopping_patience": patience, "early_stopping_threshold": threshold}
    progress, found = scored(values, tiny, **changes)
    assert (progress.step, progress.best_step, len(progress.records)) == (steps, best, steps)
    assert progress.ended_early is (steps < len(values))
    # What is kept are the weights of the best step, as without patience.
    later = [None if value is None else -1.0 for value in values[steps:]]
    whole, expected = scored([*values[:steps], *later], tiny)
    assert (whole.step, whole.best_step, whole.losses[:steps]) == (len(values), best, progress.losses)
    assert equal(found, expected)


def test_a_stage_that_ends_early_is_finished(tiny_encoder: Path, tmp_path: Path) -> None:
    """A head that learns nothing is never better than at first."""
    hp = {"learning_rate": 1e-30, "head_learning_rate": 1e-30, "num_train_epochs": 4, "max_train_samples": 32,
          "per_device_train_batch_size": 8, "max_length": 48, "early_stopping_patience": 2}  # fmt: skip
    one = study(tiny_encoder, hyperparameters=hp, intermediates=["none"], keep_targets="all",
                evaluation={"eval_steps": 2, "max_dev_samples": 16, "max_test_samples": 16})  # fmt: skip
    planned = plan(one)
    [stage] = planned.of_kind("target")
    result = run_stage(stage, one, tmp_path)
    assert (result.steps_planned, result.steps_done, result.paused_at) == (16, 6, None)
    assert {(s.split, s.language) for s in result.scores if s.is_final} >= {("test", "de"), ("dev", "en")}
    again = run_stage(stage, one, tmp_path)
    assert (again.trained, again.steps_done, again.scores) == (False, 6, result.scores)
    segment = run_stage(stage, one, tmp_path / "other", until=0.25)
    assert segment.paused_at == 0.25
    assert run_stage(stage, one, tmp_path / "other").scores == result.scores


def test_few_examples_lie_inside_more_and_are_the_same_for_every_arm(
    tiny: Pretrained, tiny_encoder: Path, tmp_path: Path
) -> None:
    few, more = (set(subset(100, 1.0, 3, most).tolist()) for most in (8, 20))
    assert (len(few), len(more)) == (8, 20)
    assert few < more < set(subset(100, 0.5, 3).tolist())
    assert len(subset(100, 0.5, 3, 8)) == 4
    assert len(subset(5, 1.0, 3, 8)) == 5
    hp = {"num_train_examples": 8, "per_device_train_batch_size": 8, "num_train_epochs": 2, "max_train_samples": 32}
    one = study(tiny_encoder, hyperparameters={"tasks": {"cldr_units": hp}})
    planned = plan(one)
    stages = planned.of_kind("target")
    assert [stage.steps for stage in stages] == [2, 2]
    reader = DataReader(tiny, None)
    chosen = [training_sets(stage, one, reader)[0].chosen.tolist() for stage in stages]
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 8
    whole = plan(study(tiny_encoder, hyperparameters={"tasks": {"cldr_units": hp | {"num_train_examples": None}}}))
    assert {stage.train_key for stage in whole.of_kind("target")}.isdisjoint(stage.train_key for stage in stages)


def test_a_mixture_is_named_by_the_examples_of_each_task(tiny_encoder: Path) -> None:
    arm = {"tasks": ["cldr_names", "cldr_dates"], "name": "both"}
    found = {}
    for most in (None, 8, 16):
        hp = {"tasks": {"cldr_dates": {"num_train_examples": most}}, "num_train_epochs": 1, "max_train_samples": 32}
        [stage] = plan(study(tiny_encoder, intermediates=[arm], hyperparameters=hp)).of_kind("intermediate")
        found[most] = stage.train_key, stage.steps
    assert len({key for key, _ in found.values()}) == 3
    assert [steps for _, steps in found.values()] == [2, 2, 2]
