"""Compiled layers train as plain ones do; evaluation has the plain ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from raystilts.errors import UserError
from raystilts.planning.stages import plan
from raystilts.training import compiling
from raystilts.training.compiling import CompiledLayers, layers_of, plain_afterwards
from raystilts.training.encoder import Pretrained
from raystilts.training.loop import train
from raystilts.training.model import Model
from raystilts.training.rehearsal import without_dropout
from raystilts.training.stage import run_stage

from .architectures import configurations
from .examples import job, study, weights

#: Architectures without a row of layers of one kind.
NONE = {"ALBERT", "XLM"}


@pytest.mark.parametrize("name", sorted(configurations()))
def test_the_layers_of_an_encoder_are_found(name: str) -> None:
    with torch.device("meta"):
        model = AutoModel.from_config(configurations()[name]())
    encoder = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
    assert len(layers_of(encoder)) == (0 if name in NONE else 2)
    if name in NONE:
        with pytest.raises(UserError, match=f"layers of a {encoder.config.model_type} are not of one kind"):
            Model(encoder, [], compiled=True)


def compared(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Trains both ways, with batches of several lengths."""
    monkeypatch.setattr(compiling, "BACKEND", backend)
    monkeypatch.setattr(compiling, "_COMPILED", type(compiling._COMPILED)())
    found = []
    for compiled in (False, True):
        tiny.restore(None, torch.device("cpu"))
        one = job(tiny, "cldr_dates", 3, adam_epsilon=1e-3)
        one.model = Model(tiny.model, list(one.model.heads), compiled=compiled)
        with without_dropout(one.model):
            losses = train(one).losses
        assert any(layer._compiled_call_impl is not None for layer in layers_of(tiny.model)) is compiled
        one.model.eval()
        assert all(layer._compiled_call_impl is None for layer in layers_of(tiny.model))
        found.append((losses, weights(one.model)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    assert all(torch.allclose(found[1][1][name], one, atol=1e-4) for name, one in found[0][1].items())


@pytest.mark.slow
def test_a_training_is_the_same_up_to_rounding(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by torch, forward and backward, but run by its own operations: in seconds."""
    compared(tiny, monkeypatch, "aot_eager")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's compiler needs g++ on a CPU")
def test_and_with_the_compiler_itself(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(tiny, monkeypatch, compiling.BACKEND)


def test_layers_are_compiled_once_a_process(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_COMPILED", type(compiling._COMPILED)())
    one, other = CompiledLayers(tiny.model), CompiledLayers(tiny.model)
    one.switch(True)
    first = [layer._compiled_call_impl for layer in layers_of(tiny.model)]
    one.switch(False)
    other.switch(True)
    assert [layer._compiled_call_impl for layer in layers_of(tiny.model)] == first
    other.switch(False)


@pytest.mark.slow
def test_a_stage_leaves_the_encoder_plain(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    monkeypatch.setattr(compiling, "_COMPILED", type(compiling._COMPILED)())
    planned = plan(study(tiny_encoder, hyperparameters={"max_steps": 2, "torch_compile": True}))
    [stage] = [one for one in planned.of_kind("target") if one.parent is None]
    result = run_stage(stage, planned.study, tmp_path)
    assert result.steps_done == 2
    assert len(compiling._COMPILED) == 2
    assert all(layer._compiled_call_impl is None for layer in compiling._COMPILED)


def test_a_training_that_fails_leaves_it_plain_too(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "BACKEND", "eager")
    with pytest.raises(MemoryError), plain_afterwards(tiny.model):
        CompiledLayers(tiny.model).switch(True)
        raise MemoryError
    assert all(layer._compiled_call_impl is None for layer in layers_of(tiny.model))


def test_not_together_with_batches_without_padding(tiny_encoder: Path) -> None:
    with pytest.raises(ValueError, match="do not go together"):
        study(tiny_encoder, hyperparameters={"padding_free": True, "torch_compile": True})
