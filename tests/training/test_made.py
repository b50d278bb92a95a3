"""Checkpoints from elsewhere on a node that is not the driver's: the planned weights, or none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from raystilts.errors import UserError
from raystilts.planning.stage import Stage
from raystilts.planning.stages import Plan, plan
from raystilts.training.stage import run_stage

from .examples import study

FIRST, SECOND = "a" * 40, "b" * 40


def put(encoder: Path, folder: Path, factor: float) -> None:
    """A checkpoint of the encoder whose weights are multiplied."""
    shutil.copytree(encoder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor * factor for name, tensor in weights.items()}, folder / "model.safetensors")


def planned(encoder: Path, checkpoint: str) -> tuple[Plan, Stage]:
    found = plan(study(encoder, intermediates=["none", {"checkpoint": checkpoint, "name": "theirs"}]))
    [stage] = found.of_kind("intermediate")
    assert stage.foreign is not None
    return found, stage


def kept(result_folder: Path, stage: Stage) -> float:
    """A number of the kept weights."""
    weights = load_file(result_folder / stage.train_key / "model.safetensors")
    return float(max(weights.items())[1].float().sum())


def test_a_branch_that_moved_on_is_taken_as_it_was_planned(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--someone--theirs"
    put(tiny_encoder, repository / "snapshots" / FIRST, 1.5)
    put(tiny_encoder, repository / "snapshots" / SECOND, 3.0)
    branch = repository / "refs" / "main"
    branch.parent.mkdir()
    branch.write_text(FIRST)
    found, stage = planned(tiny_encoder, "someone/theirs")
    assert stage.foreign is not None
    assert stage.foreign.revision == FIRST
    run_stage(stage, found.study, tmp_path / "driver")
    branch.write_text(SECOND)
    elsewhere = replace(stage, foreign=replace(stage.foreign, location="/home/of/the/driver"))
    run_stage(elsewhere, found.study, tmp_path / "node")
    assert kept(tmp_path / "node", stage) == kept(tmp_path / "driver", stage)


def test_another_checkpoint_at_the_same_place_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    put(tiny_encoder, tmp_path / "theirs", 1.5)
    found, stage = planned(tiny_encoder, str(tmp_path / "theirs"))
    shutil.rmtree(tmp_path / "theirs")
    put(tiny_encoder, tmp_path / "theirs", 3.0)
    with pytest.raises(UserError, match=r"^intermediates\.1\.checkpoint: .* holds other weights .* all nodes share"):
        run_stage(stage, found.study, tmp_path / "node")
    assert not (tmp_path / "node" / stage.train_key).exists()
