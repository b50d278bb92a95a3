"""Adapters in training: what they leave, start from, and take."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from raystilts.errors import UserError
from raystilts.planning.stage import Stage, stage_kinds
from raystilts.planning.stages import Plan, plan
from raystilts.study.adapters import Tuning
from raystilts.training import stage as stage_module
from raystilts.training.adapters import Adapter, LowRank, load_changes, with_changes
from raystilts.training.encoder import Pretrained, open_model
from raystilts.training.limits import StageInterrupted
from raystilts.training.loop import Job, Progress, train
from raystilts.training.rehearsal import compare_stage
from raystilts.training.stage import StageRun, run_stage
from raystilts.training.weights import Weights

from .examples import equal, job, study, weights

CPU = torch.device("cpu")
TUNINGS: dict[str, Any] = {
    "lora": "lora",
    "lora with dropout": {"method": "lora", "r": 2, "dropout": 0.2, "target_modules": "all-linear"},
    "lora above a layer": {"method": "lora", "freeze": 1},
    "bitfit": "bitfit",
    "upper layers": {"freeze": 1},
    "without embeddings": {"freeze": 0},
}


def the(planned: Plan, kind: Any, arm: str) -> Stage:
    [found] = [stage for stage in planned.of_kind(kind) if stage.intermediate.label == arm]
    return found


def test_what_is_merged() -> None:
    a, b = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0], [-1.0]])
    change = LowRank({"layer": (a, b)}, r=1, alpha=2.0)
    assert change.merged("layer", torch.ones(2, 3)).tolist() == [[3, 5, 7], [-1, -3, -5]]
    other = LowRank({"layer": (a, b)}, r=1, alpha=2.0, transposed=True)
    assert other.merged("layer", torch.ones(3, 2)).tolist() == [[3, -1], [5, -3], [7, -5]]


def tuned_job(loaded: Pretrained, tuning: Any, steps: int = 3) -> tuple[Job, Adapter]:
    """A training of a classifier, its adapter not entered."""
    found = job(loaded, "cldr_names", steps)
    adapter = Adapter(loaded.model, Tuning.model_validate(tuning), 1)
    found.model._adapter = adapter
    return found, adapter


@pytest.mark.parametrize("name", TUNINGS)
def test_the_encoder_is_plain_after_it_and_the_pretrained_weights_are_what_they_were(
    tiny: Pretrained, name: str
) -> None:
    pretrained_weights = {n: t.clone() for n, t in tiny.weights.items()}
    tiny.restore(None, CPU, shared=True)
    found, adapter = tuned_job(tiny, TUNINGS[name])
    with adapter:
        trained = {n for n, p in found.model.encoder.named_parameters() if p.requires_grad}
        train(found)
        found.model.eval()
        merged = weights(found.model.encoder)
        found.model.train()
    after = weights(tiny.model)
    assert equal(after, merged), "read in an evaluation as it is left"
    assert equal(tiny.weights, pretrained_weights)
    assert after.keys() == pretrained_weights.keys()
    assert all(p.requires_grad for p in tiny.model.parameters())
    changed = {n for n, t in after.items() if not torch.equal(t, pretrained_weights[n])}
    if "lora" in name:
        layers = {n.partition(".lora_")[0].replace(".base_layer", "") for n in trained}
        assert changed == {f"{n}.weight" for n in layers}
    else:
        assert changed == trained
    assert changed
    assert type(tiny.model.get_submodule("encoder.layer.1.attention.self.query")) is nn.Linear
    assert not hasattr(tiny.model, "peft_config")
    tiny.restore(None, CPU)
    assert equal(weights(tiny.model), pretrained_weights)


@pytest.mark.parametrize("name", ["lora", "lora above a layer"])
def test_an_adapter_that_does_not_fit_into_memory_leaves_the_encoder_to_others(
    tiny: Pretrained, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Half of the layers were wrapped by then."""
    drawn = iter([nn.init.kaiming_uniform_])

    def full(*given: Any, **more: Any) -> Tensor:
        return next(drawn)(*given, **more)

    adapter = Adapter(tiny.model, Tuning.model_validate(TUNINGS[name]), 1)
    with monkeypatch.context() as patch:
        patch.setattr(nn.init, "kaiming_uniform_", full)
        with pytest.raises(StopIteration), adapter:
            pass
    assert all(p.requires_grad for p in tiny.model.parameters()), "else a later stage would train its head alone"
    assert weights(tiny.model).keys() == tiny.weights.keys()
    assert not hasattr(tiny.model, "peft_config")
    tiny.restore(None, CPU)
    assert equal(weights(tiny.model), tiny.weights)


def test_an_adapter_that_cannot_be_merged_leaves_the_encoder_to_others(
    tiny: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, merged = iter(range(1)), LowRank.merged

    def full(self: LowRank, name: str, weight: Tensor) -> Tensor:
        if next(left, None) is None:
            raise MemoryError
        return merged(self, name, weight)

    with monkeypatch.context() as patch:
        patch.setattr(LowRank, "merged", full)
        with pytest.raises(MemoryError), Adapter(tiny.model, Tuning(method="lora"), 1):
            pass
    tiny.restore(None, CPU)
    assert equal(weights(tiny.model), tiny.weights)
    assert all(p.requires_grad for p in tiny.model.parameters())


def test_training_all_of_an_encoder_that_was_shared_leaves_the_pretrained_weights(tiny: Pretrained) -> None:
    before = {name: tensor.clone() for name, tensor in tiny.weights.items()}
    tiny.restore(None, CPU, shared=True)
    tiny.restore(None, CPU)
    train(job(tiny, "cldr_names", 2))
    assert not equal(weights(tiny.model), before)
    assert equal(tiny.weights, before)


def test_lora_starts_from_the_encoder_as_it_is_and_its_seed_alone_draws_it(tiny: Pretrained) -> None:
    drawn: list[Tensor] = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(drawn))
        adapter = Adapter(tiny.model, Tuning(method="lora"), seed)
        before = weights(tiny.model)
        with adapter:
            pass
        assert equal(weights(tiny.model), before)
        assert isinstance(adapter.change, LowRank)
        drawn.append(adapter.change.layers["encoder.layer.0.attention.self.query"][0])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("tuning", "first"), [({"freeze": 1}, 1), ({"method": "lora", "freeze": 1}, 1), ("bitfit", 0)])
def test_no_graph_below_the_first_layer_that_trains(tiny: Pretrained, tuning: Any, first: int) -> None:
    found, adapter = tuned_job(tiny, tuning)
    graph: list[bool] = []
    hooks = [
        layer.register_forward_hook(lambda module, given, output: graph.append(
            (output[0] if isinstance(output, tuple) else output).requires_grad
        ))
        for layer in (tiny.model.get_submodule(f"encoder.layer.{number}") for number in (0, 1))
    ]  # fmt: skip
    with adapter:
        train(found)
    for hook in hooks:
        hook.remove()
    assert graph[:2] == [layer >= first for layer in (0, 1)]


def test_frozen_weights_have_no_gradient_and_no_moments(tiny: Pretrained, tmp_path: Path) -> None:
    found, adapter = tuned_job(tiny, "lora")
    found.snapshot, found.snapshot_seconds, found.stop_at = tmp_path / "snapshot", 0.0, 2
    with adapter:
        frozen = [p for n, p in found.model.encoder.named_parameters() if "lora_" not in n]
        train(found)
        assert all(p.grad is None for p in frozen)
    kept = load_file(tmp_path / "snapshot" / "model.safetensors")
    names = {n.partition(".")[2] for n in kept}
    assert all("lora_" in n or n.startswith("heads.") for n in names), "a snapshot is of what trains"


@pytest.mark.parametrize("name", TUNINGS)
def test_a_stage_is_kept_as_what_it_trained_and_comes_back_bit_for_bit(
    tiny_encoder: Path, tmp_path: Path, name: str
) -> None:
    planned = plan(study(tiny_encoder, tuning=TUNINGS[name], keep_targets="all"))
    for kind, arm, changes in (("intermediate", "cldr_names", 1), ("target", "none", 1), ("target", "cldr_names", 2)):
        stage = the(planned, kind, arm)
        run = StageRun(stage, planned.study, tmp_path, CPU, 1, planned.encoder, 1.0)
        first = run.run()
        before = weights(run.model)
        folder = tmp_path / stage.train_key
        assert sorted(one.name for one in folder.iterdir()) == ["adapters", "heads", "stage.json"]
        assert len(load_changes(folder, planned.encoder) or ()) == changes, "its parent's, and its own"
        again = StageRun(stage, planned.study, tmp_path, CPU, 1, planned.encoder, 1.0)
        second = again.run()
        assert not second.trained
        assert second.scores == first.scores
        assert equal(weights(again.model), before)
        plain = with_changes(open_model(planned.encoder), folder, changes).eval()
        assert equal(
            weights(plain), {n.removeprefix("encoder."): t for n, t in before.items() if "heads." not in n}, 1e-6
        )


@pytest.mark.parametrize("name", TUNINGS)
def test_the_table_of_words_is_read_by_the_row_and_not_looked_at(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither while a part of the encoder trains nor while it is scored; all numbers are those of the whole table."""
    planned = plan(study(tiny_encoder, tuning=TUNINGS[name]))
    stage = the(planned, "target", "none")
    by_row = run_stage(stage, planned.study, tmp_path / "rows", encoder=planned.encoder)
    looked: list[int] = []
    forward = nn.Embedding.forward
    rows = open_model(planned.encoder).get_input_embeddings().num_embeddings

    def watched(self: nn.Embedding, ids: Tensor) -> Tensor:
        looked.append(len(self.weight))
        return forward(self, ids)

    monkeypatch.setattr(nn.Embedding, "forward", watched)
    again = run_stage(stage, planned.study, tmp_path / "again", encoder=planned.encoder)
    assert rows not in looked
    monkeypatch.setattr(Weights, "table", lambda self, name: None)
    whole = run_stage(stage, planned.study, tmp_path / "whole", encoder=planned.encoder)
    assert rows in looked
    for one in (again, whole):
        assert (one.scores, one.losses) == (by_row.scores, by_row.losses)


def test_a_kept_target_does_not_need_its_intermediate_any_more(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder, tuning="lora", keep_targets="all"))
    parent, child = the(planned, "intermediate", "cldr_names"), the(planned, "target", "cldr_names")
    run_stage(parent, planned.study, tmp_path, encoder=planned.encoder)
    first = run_stage(child, planned.study, tmp_path, encoder=planned.encoder)
    shutil.rmtree(tmp_path / parent.train_key)
    again = run_stage(child, planned.study, tmp_path, encoder=planned.encoder)
    assert not again.trained
    assert again.scores == first.scores


def test_a_target_starts_from_the_merged_encoder_of_its_intermediate(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ["none", {"task": "cldr_names", "tuning": "lora"}]
    planned = plan(study(tiny_encoder, intermediates=arms, keep_targets="all"))
    parent, child = the(planned, "intermediate", "cldr_names+lora"), the(planned, "target", "cldr_names+lora")
    run = StageRun(parent, planned.study, tmp_path, CPU, 1, planned.encoder, 1.0)
    run.run()
    left = weights(run.model.encoder)
    begun = StageRun(child, planned.study, tmp_path, CPU, 1, planned.encoder, 1.0)
    started: list[dict[str, Tensor]] = []

    def noted(job: Job) -> Progress:
        started.append(weights(job.model.encoder))
        return train(job)

    monkeypatch.setattr(stage_module, "train", noted)
    begun.run()
    compact = "embeddings.word_embeddings.rows"
    assert all(torch.equal(tensor, left[name]) for name, tensor in started[0].items() if name != compact)
    # A target that trains all of the encoder is kept whole, whatever it started from.
    assert (tmp_path / child.train_key / "model.safetensors").is_file()
    assert load_changes(tmp_path / child.train_key, planned.encoder) is None


def test_an_adapter_on_a_whole_intermediate_is_kept_whole(tiny_encoder: Path, tmp_path: Path) -> None:
    targets = [{"task": "cldr_units", "languages": ["de"], "tuning": "lora"}]
    planned = plan(study(tiny_encoder, targets=targets, keep_targets="all"))
    for kind, arm, whole in (
        ("intermediate", "cldr_names", True),
        ("target", "cldr_names", True),
        ("target", "none", False),
    ):
        stage = the(planned, kind, arm)
        first = run_stage(stage, planned.study, tmp_path, encoder=planned.encoder)
        assert (load_changes(tmp_path / stage.train_key, planned.encoder) is None) is whole
        assert run_stage(stage, planned.study, tmp_path, encoder=planned.encoder).scores == first.scores


@pytest.mark.parametrize("name", ["lora with dropout", "bitfit", "upper layers"])
def test_a_stage_that_is_interrupted_after_every_update_gives_the_same_bits(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    planned = plan(study(tiny_encoder, tuning=TUNINGS[name], keep_targets="all"))
    stage = the(planned, "intermediate", "cldr_names")
    expected = run_stage(stage, planned.study, tmp_path / "calm", encoder=planned.encoder)
    monkeypatch.setattr(stage_module, "Job", partial(Job, snapshot_seconds=0.0))
    for _ in range(3):
        with pytest.raises(StageInterrupted):
            run_stage(stage, planned.study, tmp_path / "hurried", encoder=planned.encoder, interrupted=lambda: True)
    found = run_stage(stage, planned.study, tmp_path / "hurried", encoder=planned.encoder)
    assert (found.scores, found.losses) == (expected.scores, expected.losses)
    assert same_files(tmp_path / "calm" / stage.train_key, tmp_path / "hurried" / stage.train_key)


def same_files(one: Path, other: Path) -> bool:
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files == sorted(path.relative_to(other) for path in other.rglob("*.safetensors"))
    return bool(files) and all((one / path).read_bytes() == (other / path).read_bytes() for path in files)


KILLED = """
import json, sys
from pathlib import Path
from raystilts.planning.stages import plan
from raystilts.study.schema import Study
from raystilts.training.stage import run_stage
study = Study.model_validate(json.loads(Path(sys.argv[1]).read_text()))
planned = plan(study)
[stage] = planned.of_kind("intermediate")
run_stage(stage, study, sys.argv[2], encoder=planned.encoder)
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_goes_on_bit_for_bit(tiny_encoder: Path, tmp_path: Path) -> None:
    hyperparameters = {
        "learning_rate": 3e-3,
        "per_device_train_batch_size": 2,
        "max_train_samples": 32,
        "max_steps": 150,
    }
    one = study(tiny_encoder, tuning={"method": "lora", "dropout": 0.1}, hyperparameters=hyperparameters, snapshot_s=0)
    [stage] = plan(one).of_kind("intermediate")
    (tmp_path / "study.json").write_text(json.dumps(one.model_dump(mode="json")), encoding="utf-8")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "study.json")]
    subprocess.run([*command, str(tmp_path / "calm")], check=True)
    state = tmp_path / "killed" / "in_progress" / stage.train_key / "state.json"
    worker = subprocess.Popen([*command, str(tmp_path / "killed")])
    while worker.poll() is None and not _far(state):
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL, "killed before its end"
    assert not (tmp_path / "killed" / stage.train_key).exists()
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    assert same_files(tmp_path / "calm" / stage.train_key, tmp_path / "killed" / stage.train_key)


def _far(state: Path) -> bool:
    try:
        return int(json.loads(state.read_text(encoding="utf-8"))["step"]) >= 20
    except (OSError, ValueError):
        return False


@pytest.mark.parametrize("name", TUNINGS)
def test_a_rehearsal_passes(tiny_encoder: Path, name: str) -> None:
    arms = ["none", "cldr_names", {"task": "cldr_dates", "masked_lm": {"text_of": "cldr_units"}}]
    planned = plan(study(tiny_encoder, intermediates=arms, tuning=TUNINGS[name]))
    for stage in stage_kinds(planned.stages.values()):
        compare_stage(stage, planned.study, device="cpu", encoder=planned.encoder)


def test_a_rehearsal_finds_an_adapter_that_is_read_otherwise(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = LowRank.merged
    monkeypatch.setattr(LowRank, "merged", lambda self, name, weight: merged(self, name, weight) * 3)
    planned = plan(study(tiny_encoder, tuning={"method": "lora", "target_modules": "all-linear"}))
    with pytest.raises(UserError, match="training without dropout and evaluation"):
        compare_stage(the(planned, "target", "none"), planned.study, device="cpu", encoder=planned.encoder)


def test_kinds_of_stages_differ_by_their_tuning(tiny_encoder: Path) -> None:
    arms = ["none", "cldr_names", {"task": "cldr_names", "tuning": "lora"}]
    planned = plan(study(tiny_encoder, intermediates=arms))
    assert [s.tuning.method for s in stage_kinds(planned.of_kind("intermediate"))] == ["full", "lora"]


def test_an_adapter_of_another_encoder_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder, tuning="bitfit"))
    stage = the(planned, "intermediate", "cldr_names")
    run_stage(stage, planned.study, tmp_path, encoder=planned.encoder)
    file = tmp_path / stage.train_key / "adapters" / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"fingerprint": "0" * 32}), encoding="utf-8")
    with pytest.raises(UserError, match=r"an adapter of .* not of .*; take the encoder that it was trained on"):
        run_stage(the(planned, "target", "cldr_names"), planned.study, tmp_path, encoder=planned.encoder)


def test_a_head_alone_leaves_the_encoder_as_it_was(tiny_encoder: Path, tiny: Pretrained, tmp_path: Path) -> None:
    planned = plan(study(tiny_encoder, intermediates=["none"], tuning="head_only", keep_targets="all"))
    stage = the(planned, "target", "none")
    run = StageRun(stage, planned.study, tmp_path, CPU, 1, planned.encoder, 1.0)
    first = run.run()
    assert equal(weights(run.model.encoder), tiny.weights)
    assert run_stage(stage, planned.study, tmp_path, encoder=planned.encoder).scores == first.scores
