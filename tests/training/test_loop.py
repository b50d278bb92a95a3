from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from raystilts.training import loop
from raystilts.training.checkpoints import load_snapshot
from raystilts.training.collate import Batch
from raystilts.training.encoder import Pretrained
from raystilts.training.limits import Limits, StageInterrupted
from raystilts.training.loop import Job, Progress, TrainingDiverged, train

from .examples import equal, job, weights

#: A dev score whose best is neither the first nor the last.
DEV = {2: 0.5, 4: 0.9, 6: 0.7, 8: 0.9, 10: 0.3}


def scored(tiny: Pretrained, task: str = "cldr_names", fail_at: int | None = None, **changes: Any) -> Job:
    """Ten updates, scored every second one as in `DEV`; the evaluation of `fail_at` dies."""
    tiny.restore(None, torch.device("cpu"))

    def evaluate(step: int) -> tuple[float, list[dict[str, Any]]]:
        if step == fail_at:
            raise KeyboardInterrupt
        return DEV[step], [{"step": step, "value": DEV[step]}]

    one = job(tiny, task, 10, **changes)
    one.every, one.evaluate = 2, evaluate
    return one


@pytest.mark.parametrize(
    ("task", "steps"), [("cldr_names", 100), ("cldr_choice", 60), ("cldr_span", 24), ("cldr_dates", 60)]
)
def test_every_type_of_task_learns_sixteen_rows(tiny: Pretrained, task: str, steps: int) -> None:
    losses = train(job(tiny, task, steps, per_device_train_batch_size=16)).losses
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])


def test_the_same_job_gives_the_same_bits(tiny: Pretrained) -> None:
    one = scored(tiny)
    expected = train(one), weights(one.model)
    again = scored(tiny)
    assert train(again) == expected[0]
    assert equal(weights(again.model), expected[1])


@pytest.mark.parametrize("fail_at", [4, 6, 8, 10])
@pytest.mark.parametrize("task", ["cldr_names", "cldr_span"])
def test_an_interrupted_training_ends_with_the_same_bits(
    tiny: Pretrained, tmp_path: Path, task: str, fail_at: int
) -> None:
    undisturbed = scored(tiny, task)
    expected = train(undisturbed), weights(undisturbed.model)
    for stop in (fail_at, None):
        one = scored(tiny, task, stop)
        one.snapshot, one.snapshot_seconds = tmp_path / "key", 0.0
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                train(one)
            continue
        assert train(one) == expected[0]
        assert equal(weights(one.model), expected[1])


def test_the_best_weights_win_and_of_two_equal_ones_the_later(tiny: Pretrained) -> None:
    one = scored(tiny)
    progress = train(one)
    assert progress.best_step == 8
    assert [record["step"] for record in progress.records] == [2, 4, 6, 8, 10]
    best = weights(one.model)
    last = scored(tiny, load_best_model_at_end=False)
    assert train(last).best_step == 0
    assert not equal(weights(last.model), best)


def test_amounts_are_counted(tiny: Pretrained) -> None:
    one = scored(tiny)
    progress = train(one)
    lengths = one.features[0].input_ids.lengths
    assert progress.examples == sum(len(update.examples) for update in one.updates) == 80
    assert progress.tokens == sum(int(lengths[update.examples].sum()) for update in one.updates)
    assert (progress.step, len(progress.losses), progress.micro_batch) == (10, 10, 8)


@pytest.mark.parametrize("task", ["cldr_names", "cldr_choice", "cldr_span", "cldr_dates"])
def test_the_micro_batch_changes_nothing_but_rounding(
    tiny: Pretrained, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    found: list[tuple[Progress, dict[str, torch.Tensor]]] = []
    for size, tokens in ((16, 100_000), (5, 40)):
        monkeypatch.setattr(loop, "CPU_MICRO_BATCH", size)
        monkeypatch.setattr(loop, "CPU_MICRO_TOKENS", tokens)
        # Adam's first steps are the signs of gradients, where rounding could show; a large epsilon makes them smooth.
        one = scored(tiny, task, per_device_train_batch_size=16, adam_epsilon=1e-3)
        for module in one.model.modules():
            if isinstance(module, nn.Dropout):
                monkeypatch.setattr(module, "p", 0.0)
        found.append((train(one), weights(one.model)))
    assert [progress.micro_batch for progress, _ in found] == [16, 5]
    assert found[0][0].losses == pytest.approx(found[1][0].losses, abs=1e-5)
    assert equal(found[0][1], found[1][1], 1e-5)


@pytest.mark.parametrize("task", ["cldr_names", "cldr_choice", "cldr_span", "cldr_dates"])
def test_gradients_ask_the_device_nothing(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    """On a device without data, where any question fails: a GPU would be waited for."""
    one = job(tiny, task, 2)
    one.model = copy.deepcopy(one.model).to("meta")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which does not know such a device
    run = loop._Training(one)
    one.model.train()
    for update in one.updates:
        loss = run._gradients(update)
        assert loss is not None
        assert loss.is_meta
        assert nn.utils.clip_grad_norm_(run.named.values(), 1.0).is_meta


class Casts(TorchDispatchMode):
    """Counts casts of weights to bfloat16."""

    def __init__(self, weights: list[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.places, self.found = {one.data_ptr() for one in weights}, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default and args[0].data_ptr() in self.places:
            self.found += kwargs.get("dtype") is torch.bfloat16
        return func(*args, **(kwargs or {}))


def test_weights_are_cast_once_an_update(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a micro-batch, of which there are several; the loss is taken outside of it."""
    one = job(tiny, "cldr_names", 2, bf16=True, per_device_train_batch_size=16)
    head, own = one.model.head(0), one.model.head(0).loss
    within: list[bool] = []

    def loss(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
        within.append(torch.is_autocast_enabled("cpu"))
        return own(scores, batch)

    monkeypatch.setattr(head, "loss", loss)
    linear = [part.weight for part in tiny.model.modules() if isinstance(part, nn.Linear)]
    with Casts(linear) as casts:
        done = train(one)
    assert len(within) > done.step == 2, "several micro-batches an update"
    assert not any(within)
    assert casts.found == 2 * len(linear)


def test_a_loss_that_is_no_number_ends_the_training(tiny: Pretrained) -> None:
    with pytest.raises(TrainingDiverged, match="the loss is not finite by update 4"):
        train(job(tiny, "cldr_names", 4, learning_rate=1e30, max_grad_norm=0))


def test_a_training_past_its_deadline_can_go_on(tiny: Pretrained, tmp_path: Path) -> None:
    undisturbed = scored(tiny)
    expected = train(undisturbed), weights(undisturbed.model)
    for step in (1, 2, 3):
        late = scored(tiny)
        late.snapshot, late.limits = tmp_path / "key", Limits(0.0)
        with pytest.raises(TimeoutError):
            train(late)
        found = load_snapshot(tmp_path / "key")
        assert found is not None
        assert found.step == step
    again = scored(tiny)
    again.snapshot = tmp_path / "key"
    assert train(again) == expected[0]
    assert equal(weights(again.model), expected[1])


class Countdown:
    """A run that is asked to stop once so many questions have been answered."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_training_that_is_stopped_inside_an_evaluation_goes_on_with_it(tiny: Pretrained, tmp_path: Path) -> None:
    undisturbed = scored(tiny)
    expected = train(undisturbed), weights(undisturbed.model)
    stops = 0
    for _ in range(100):
        one, asked = scored(tiny), Limits(interrupted=Countdown(1))
        one.snapshot, one.limits, score = tmp_path / "key", asked, one.evaluate

        def evaluate(step: int, asked: Limits = asked, score: Any = score) -> Any:
            asked.check()
            return score(step)

        one.evaluate = evaluate
        try:
            found = train(one)
            break
        except StageInterrupted:
            stops += 1
    assert stops >= len(undisturbed.updates) // 2
    assert found == expected[0]
    assert equal(weights(one.model), expected[1])


def test_what_is_called_after_each_snapshot(tiny: Pretrained, tmp_path: Path) -> None:
    seen: list[int] = []

    def called() -> None:
        found = load_snapshot(tmp_path / "key")
        assert found is not None
        seen.append(found.step)

    one = scored(tiny)
    one.snapshot, one.snapshot_seconds, one.on_snapshot = tmp_path / "key", 0.0, called
    train(one)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    seldom = scored(tiny)
    seldom.snapshot, seldom.on_snapshot = tmp_path / "other", called
    train(seldom)
    assert len(seen) == 9, "no snapshot within two minutes"


def test_the_head_may_learn_faster(tiny: Pretrained) -> None:
    one = job(tiny, "cldr_names", 1, learning_rate=1e-9, head_learning_rate=1e-2, max_grad_norm=0)
    before = weights(one.model)
    train(one)
    moved = {n: float((t - before[n]).abs().max()) for n, t in weights(one.model).items()}
    assert max(v for n, v in moved.items() if n.startswith("encoder.")) < 1e-7
    assert moved["heads.0.out.weight"] == pytest.approx(1e-2, rel=1e-3)
