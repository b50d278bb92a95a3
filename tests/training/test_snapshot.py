from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from raystilts.training.checkpoints import Snapshot, load_snapshot, save_snapshot


def snapshot(step: int) -> Snapshot:
    return Snapshot(
        step, {"losses": [0.1, math.pi], "best_score": -math.inf}, {"model.a": torch.full((2,), float(step))}
    )


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    folder = tmp_path / "in_progress" / "key"
    for step in (3, 4):
        save_snapshot(folder, snapshot(step))
    found = load_snapshot(folder)
    assert found is not None
    assert (found.step, found.state) == (4, snapshot(4).state)
    assert torch.equal(found.tensors["model.a"], torch.tensor([4.0, 4.0]))
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_killed_between_two_renames(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    folder.replace(tmp_path / ".key.7.old")
    found = load_snapshot(folder)
    assert found is not None
    assert found.step == 3


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    broken = snapshot(4)
    broken.state["losses"] = object()
    with pytest.raises(TypeError):
        save_snapshot(folder, broken)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    found = load_snapshot(folder)
    assert found is not None
    assert found.step == 3


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert load_snapshot(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
@pytest.mark.parametrize("keep", [0, 10])
def test_a_broken_one_counts_as_none(tmp_path: Path, name: str, keep: int) -> None:
    folder = tmp_path / "key"
    save_snapshot(folder, snapshot(3))
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    assert load_snapshot(folder) is None
