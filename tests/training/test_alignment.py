from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raystilts.analysis.domain_distances import coral_distance
from raystilts.analysis.domain_distances import mmd as mmd_test
from raystilts.planning.stages import Plan, plan
from raystilts.study.intermediate import Alignment
from raystilts.training import stage as stage_module
from raystilts.training.alignment import (
    Aligner,
    DomainHead,
    alignment_gradients,
    coral,
    domain_loss,
    mmd,
    pooled_gradient,
)
from raystilts.training.collate import collate, features_of
from raystilts.training.encoder import Pretrained, load_weights
from raystilts.training.loop import Job
from raystilts.training.model import Model, pool_tokens
from raystilts.training.stage import run_stage

from .examples import equal, features, study

KINDS = ("coral", "mmd", "adversarial")


def states(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, width)))


def test_the_losses_are_the_distances_that_analyses_report() -> None:
    one, other = states(7, 3, 0), states(9, 3, 1) * 2 + 1
    assert coral(one, other).item() == pytest.approx(coral_distance(one.numpy(), other.numpy()))
    # torch's median of an even number is the lower one; 16 texts have 120 distances.
    assert mmd(one, other).item() == pytest.approx(mmd_test(one.numpy(), other.numpy(), 9).squared, abs=0.01)


def test_both_domains_weigh_the_same_whatever_their_number() -> None:
    logits = torch.tensor([0.0, 0.0, 0.0, 3.0])
    expected = (np.log(2) + np.log(1 + np.exp(3))) / 2
    assert domain_loss(logits, 3).item() == pytest.approx(expected)


def test_the_reversed_gradient_is_the_classifiers_with_the_other_sign() -> None:
    head = DomainHead(4, seed=0)
    one = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    aligner = Aligner(Alignment(to="x", loss="adversarial"), None, [], 1, head)  # type: ignore[arg-type]
    found = pooled_gradient(aligner, one, 3)
    copy = one.clone().requires_grad_()
    own = {name: p.grad.clone() for name, p in head.named_parameters() if p.grad is not None}
    head.zero_grad()
    domain_loss(head(copy), 3).backward()  # type: ignore[no-untyped-call]
    assert copy.grad is not None
    assert torch.equal(found, -copy.grad)
    assert all(p.grad is not None and torch.equal(own[name], p.grad) for name, p in head.named_parameters())


def test_one_text_has_no_spread() -> None:
    aligner = Aligner(Alignment(to="x", loss="coral"), None, [], 1)  # type: ignore[arg-type]
    assert not pooled_gradient(aligner, torch.randn(5, 4), 1).any()


def test_the_weight_rises_from_zero() -> None:
    align = Alignment(to="x", loss="mmd", weight=3)
    assert align.weight_at(0) == 0
    assert align.weight_at(0.1) == pytest.approx(3 * (2 / (1 + np.exp(-1)) - 1))
    assert align.weight_at(1) == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_whole_batch_whatever_the_micro_batch(tiny: Pretrained, kind: Any) -> None:
    """With dropout off, gradients in pieces add up to the loss differentiated in one piece."""
    tiny.model.zero_grad()
    own, other = features(tiny, "cldr_names"), features(tiny, "cldr_dates")
    head = DomainHead(tiny.hidden, 0) if kind == "adversarial" else None
    model = Model(tiny.model, [head] if head else [])
    model.eval()
    align = Alignment(to="cldr_dates", loss=kind, weight=1)
    rows = [np.arange(start, start + 4) for start in range(0, 16, 4)]

    def batches(one: Any, sets: list[Any]) -> list[Any]:
        return [collate(one, features_of(one, s), 1) for s in sets]

    aligner = Aligner(align, other, [np.arange(16)], 1, head)
    pieces = batches(own, rows)
    for batch, gradient in zip(
        pieces, alignment_gradients(aligner, model, pieces, batches(other, rows), 1.0, 0, False), strict=True
    ):
        gradient.loss(model.states(batch), batch).backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad.clone() for n, p in model.encoder.named_parameters() if p.grad is not None}
    model.zero_grad()
    [a], [b] = batches(own, [np.arange(16)]), batches(other, [np.arange(16)])
    pooled = [pool_tokens(model.states(x), x.attention_mask, "mean") for x in (a, b)]
    whole = {
        "coral": coral,
        "mmd": mmd,
        "adversarial": lambda *sides: -domain_loss(model.heads[0](torch.cat(sides)), 16),
    }
    (whole[kind](*pooled) * align.weight_at(1)).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.encoder.named_parameters():
        if parameter.grad is not None:
            # Pieces are padded to another length, which rounds otherwise.
            gap = (found[name] - parameter.grad).norm().item()
            assert gap <= 1e-2 * parameter.grad.norm().item() + 1e-5, name


def test_an_adversarial_step_of_the_encoder_leaves_the_classifier_less_sure(tiny: Pretrained) -> None:
    """By its meaning, at fixed weights: a small step against the reversed gradient raises the classifier's loss.

    How close two domains come in a short training is no constant: it differs between processors.
    """
    own, other = features(tiny, "cldr_names"), features(tiny, "cldr_dates")
    head = DomainHead(tiny.hidden, 0)
    model = Model(tiny.model, [head])
    model.eval()
    model.zero_grad()
    aligner = Aligner(Alignment(to="cldr_dates", loss="adversarial", weight=1), other, [np.arange(16)], 1, head)
    sides = [collate(one, features_of(one, np.arange(16)), 1) for one in (own, other)]

    def loss() -> torch.Tensor:
        pooled = [pool_tokens(model.states(side), side.attention_mask, "mean") for side in sides]
        return domain_loss(head(torch.cat(pooled)), 16)

    before = loss().item()
    [gradient] = alignment_gradients(aligner, model, [sides[0]], [sides[1]], 1.0, 0, False)
    gradient.loss(model.states(sides[0]), sides[0]).backward()  # type: ignore[no-untyped-call]
    moved = [p for p in model.encoder.parameters() if p.grad is not None]
    size = sum(float(p.grad.norm() ** 2) for p in moved if p.grad is not None)
    assert size > 0
    with torch.no_grad():
        for p in moved:
            assert p.grad is not None
            p.sub_(p.grad, alpha=1e-2 / size)  # a change of the loss of .01, to first order
        after = loss().item()
        for p in moved:
            assert p.grad is not None
            p.add_(p.grad, alpha=1e-2 / size)
    assert after - before == pytest.approx(1e-2, rel=0.5)
    model.zero_grad()


def domains(planned: Plan, arm: str, folder: Path, texts: int = 64) -> tuple[Any, Any]:
    """Pooled states of the arm's own training texts and of the other domain's, under the weights that it left."""
    [stage] = [s for s in planned.of_kind("intermediate") if s.intermediate.label == arm]
    result = run_stage(stage, planned.study, folder)
    assert result.checkpoint is not None
    from raystilts.planning.encoders import describe_encoder
    from raystilts.training.encoder import pretrained

    loaded = pretrained(describe_encoder(planned.study.encoder))
    model = Model(loaded.restore(Path(result.checkpoint), torch.device("cpu")), [])
    model.eval()
    found = []
    for task in ("cldr_names", "cldr_dates"):
        one = features(loaded, task, rows=texts)
        batch = collate(one, np.arange(len(one.input_ids)), loaded.tokenizer.pad_token_id)
        with torch.no_grad():
            found.append(pool_tokens(model.states(batch), batch.attention_mask, "mean").double().numpy())
    return found[0], found[1]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "weight"), [("coral", 30_000), ("mmd", 3)])
def test_an_aligned_arm_has_its_domains_closer_than_the_same_arm_without(
    tmp_path: Path, kind: str, weight: float
) -> None:
    torch.set_num_threads(1)
    arms = ["cldr_names", {"task": "cldr_names", "align": {"to": "cldr_dates", "loss": kind, "weight": weight}}]
    hp = {
        "learning_rate": 5e-4, "per_device_train_batch_size": 16, "max_train_samples": 128,
        "num_train_epochs": 3, "load_best_model_at_end": False,
    }  # fmt: skip
    planned = plan(study(tmp_path, encoder={}, intermediates=arms, hyperparameters=hp))
    plain, aligned = (domains(planned, arm, tmp_path) for arm in ("cldr_names", f"cldr_names+{kind}-cldr_dates"))
    steps = {stage.steps for stage in planned.of_kind("intermediate")}
    assert len(steps) == 1  # the same number of updates
    if kind == "coral":
        assert coral_distance(*aligned) < 0.5 * coral_distance(*plain)
    else:
        assert mmd_test(*aligned, 9).squared < 0.7 * mmd_test(*plain, 9).squared


@pytest.mark.parametrize("kind", ["mmd", "adversarial"])
def test_an_aligned_stage_that_is_interrupted_gives_the_same_bits(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    arms = [{"task": "cldr_names", "align": {"to": "cldr_units", "loss": kind}}]
    calm = plan(study(tiny_encoder, intermediates=arms))
    hurried = plan(study(tiny_encoder, intermediates=arms, time_limit_s=1e-9))
    [stage] = calm.of_kind("intermediate")
    expected = run_stage(stage, calm.study, tmp_path / "calm")
    monkeypatch.setattr(stage_module, "Job", partial(Job, snapshot_seconds=0.0))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            run_stage(stage, hurried.study, tmp_path / "hurried")
    found = run_stage(stage, calm.study, tmp_path / "hurried")
    assert (found.scores, found.losses) == (expected.scores, expected.losses)
    assert expected.checkpoint is not None
    assert found.checkpoint is not None
    assert equal(load_weights(Path(found.checkpoint)), load_weights(Path(expected.checkpoint)))
    again = run_stage(stage, calm.study, tmp_path / "calm")
    assert not again.trained
    assert again.scores == expected.scores
    target = next(s for s in calm.of_kind("target"))
    assert run_stage(target, calm.study, tmp_path / "calm").trained


def test_masked_lm_on_a_targets_texts_before_and_during_takes_the_same_updates(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def recorded(**given: Any) -> Job:
        jobs.append(Job(**given))
        return jobs[-1]

    monkeypatch.setattr(stage_module, "Job", recorded)
    mlm = {"text_of": "cldr_units", "probability": 0.5, "updates": "shared"}
    arms = [
        "cldr_names",
        {"task": "cldr_names", "masked_lm": mlm},
        {"task": "cldr_names", "masked_lm": {**mlm, "when": "before"}},
    ]
    planned = plan(study(tiny_encoder, intermediates=arms))
    stages = planned.of_kind("intermediate")
    assert [s.steps for s in stages] == [4, 4, 4]
    assert [s.intermediate.label for s in stages] == [
        "cldr_names", "cldr_names+mlm-cldr_units", "mlm-cldr_units+cldr_names",
    ]  # fmt: skip
    results = [run_stage(stage, planned.study, tmp_path) for stage in stages]
    parts = [[update.task_index for update in one.updates] for one in jobs]
    assert parts[0] == [0, 0, 0, 0]
    assert parts[2] == sorted(parts[1], reverse=True) != parts[1]
    assert {0, 1} == set(parts[1])
    assert all(result.steps_done == 4 for result in results)
